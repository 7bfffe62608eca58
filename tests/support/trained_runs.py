"""Finished runs on the small tree: of a zoo network, and of a small CNN."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import run_cli, write_fashionai_data

CONFIG = """\
task: skirt
model: {name: mobilenet0.25, pretrained: false}
data: {resize_short: 40, crop: 32}
epochs: 8
batch_size: 8
optimizer: {name: sgd, lr: 0.02}
schedule: {name: cosine}
"""

CNN_CONFIG = """\
task: skirt
model: {name: small_cnn, pretrained: false}
data: {resize_short: 36, crop: 32}
epochs: 4
batch_size: 8
optimizer: {name: adam, lr: 0.005}
schedule: {name: cosine}
"""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/, configs and runs/skirt, as a user's would be."""
    folder = tmp_path_factory.mktemp("trained")
    write_fashionai_data(folder / "data", per_class=16, test_per_class=3)
    (folder / "skirt.yaml").write_text(CONFIG)
    for arguments in (["prepare", "--task", "skirt"], ["train", "--config", "skirt.yaml"]):
        done = run_cli(*arguments, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def trained_cnn(trained: Path) -> Path:
    """A run of a CNN that tells the classes apart, surely enough for rounding to change little."""
    (trained / "cnn.yaml").write_text(CNN_CONFIG)
    done = run_cli("train", "--config", "cnn.yaml", "--run", "runs-cnn/skirt", cwd=trained)
    assert done.returncode == 0, done.stderr
    return trained / "runs-cnn/skirt"
