"""A finished run of a zoo network on the small tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import run_cli, write_fashionai_data

CONFIG = """\
task: skirt
model: {name: mobilenet0.25, pretrained: false}
data: {resize_short: 40, crop: 32}
epochs: 6
batch_size: 8
optimizer: {name: sgd, lr: 0.05}
schedule: {name: cosine}
"""


@pytest.fixture(scope="package")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/, configs and runs/skirt, as a user's would be."""
    folder = tmp_path_factory.mktemp("trained")
    write_fashionai_data(folder / "data", per_class=16, test_per_class=3)
    (folder / "skirt.yaml").write_text(CONFIG)
    for arguments in (["prepare", "--task", "skirt"], ["train", "--config", "skirt.yaml"]):
        done = run_cli(*arguments, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder
