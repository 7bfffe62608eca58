"""Fixtures of prepared tasks and of runs that have learnt them, and configurations of small runs.

They are made once for all tests. A test that changes one works on a copy of it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fashionai.files import file_hash
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.runs.recorded_weights import WEIGHTS_HASHES
from tests.support.commands import run_here
from tests.support.data_trees import write_fashionai_data
from tests.support.prepared_data import TASKS, prepare

mx = import_mxnet()

ZOO_CONFIG = """\
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

QUICK_CONFIG = """\
task: skirt
model: {{name: {network}, pretrained: false}}
data: {{resize_short: {size}, crop: {crop}}}
epochs: {epochs}
batch_size: {batch_size}
seed: 3
optimizer: {{name: {optimizer}, lr: {lr}, weight_decay: 1e-4}}
schedule: {{name: cosine, warmup_epochs: 0.5}}
"""


@pytest.fixture(scope="session")
def prepared_skirts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/: 84 training and 12 validation images of skirts, 18 to predict.

    It is for reading: ``prepared`` is a copy.
    """
    folder = tmp_path_factory.mktemp("prepared-skirts")
    write_fashionai_data(folder / "data", per_class=16, test_per_class=3)
    prepare(folder, "skirt")
    return folder


@pytest.fixture(scope="session")
def prepared_pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/: 42 training and 6 validation images of skirts, and as many of pants.

    It is for reading.
    """
    folder = tmp_path_factory.mktemp("prepared-pair")
    for task in TASKS:
        write_fashionai_data(folder / "data", task)
    prepare(folder, "skirt", "pant")
    return folder


@pytest.fixture(scope="module")
def prepared(prepared_skirts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the prepared skirts that one module's tests put their runs in."""
    return shutil.copytree(prepared_skirts, tmp_path_factory.mktemp("prepared") / "skirts")


@pytest.fixture(scope="session")
def trained(prepared_skirts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/, configs and runs/skirt, as a user's would be; of a zoo network."""
    folder = shutil.copytree(prepared_skirts, tmp_path_factory.mktemp("trained") / "skirts")
    (folder / "skirt.yaml").write_text(ZOO_CONFIG)
    done = run_here("train", "--config", "skirt.yaml", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def trained_cnn(trained: Path) -> Path:
    """A run of a CNN that tells the classes apart, surely enough for rounding to change little."""
    (trained / "cnn.yaml").write_text(CNN_CONFIG)
    done = run_here("train", "--config", "cnn.yaml", "--run", "runs-cnn/skirt", cwd=trained)
    assert done.returncode == 0, done.stderr
    return trained / "runs-cnn/skirt"


def replace_weights(run: Path, weights: dict[str, Any]) -> None:
    """Other best weights for a run, recorded as a training records them."""
    mx.nd.save(str(run / "best.params"), weights)
    file = run / "metrics.json"
    if file.exists():
        hashes = {"best.params": file_hash(run / "best.params")}
        metrics = {**json.loads(file.read_text()), WEIGHTS_HASHES: hashes}
        file.write_text(json.dumps(metrics))


def images_to_predict(folder: Path) -> list[Path]:
    """The images of the question file below a folder such as ``trained``."""
    return sorted((folder / "data/rank/Images/skirt_length_labels").glob("*.jpg"))


def write_config(folder: Path, **values: object) -> Path:
    """``small.yaml`` for a quick run on skirts; keywords replace the defaults below."""
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
    path.write_text(QUICK_CONFIG.format(**{**defaults, **values}))
    return path
