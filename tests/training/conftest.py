"""A prepared data set to train on, and runs of the command line over it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import run_cli, write_fashionai_data

CONFIG = """\
task: skirt
model: {{name: {network}, pretrained: false}}
data: {{resize_short: {size}, crop: {crop}}}
epochs: {epochs}
batch_size: {batch_size}
seed: 3
optimizer: {{name: {optimizer}, lr: {lr}, weight_decay: 1e-4}}
schedule: {{name: cosine, warmup_epochs: 0.5}}
"""


def write_config(folder: Path, **values: object) -> Path:
    """configs for quick runs; keywords replace the defaults below."""
    defaults = {
        "network": "small_cnn",
        "size": 36,
        "crop": 32,
        "epochs": 12,
        "batch_size": 8,
        "optimizer": "sgd",
        "lr": 0.05,
    }
    path = folder / "small.yaml"
    path.write_text(CONFIG.format(**{**defaults, **values}))
    return path


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/train_valid prepared: 84 training and 12 validation images."""
    folder = tmp_path_factory.mktemp("prepared")
    write_fashionai_data(folder / "data", per_class=16)
    done = run_cli("prepare", "--task", "skirt", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder
