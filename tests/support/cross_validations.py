"""A finished cross-validation of two tasks, and what it wrote."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from fashionai.datasets.prepared.folders import PreparedSplit, read_split
from tests.support.commands import run_here
from tests.support.prepared_data import write_two_tasks

FOLDS = 3
CONFIG = """\
task: [skirt, pant]
model: {name: small_cnn, pretrained: false}
data: {resize_short: 36, crop: 32}
epochs: 4
batch_size: 8
seed: 3
optimizer: {name: sgd, lr: 0.002}
schedule: {name: cosine}
"""


@pytest.fixture(scope="session")
def crossed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: data/, both.yaml and the finished runs/both of three folds."""
    folder = tmp_path_factory.mktemp("crossed")
    write_two_tasks(folder)
    (folder / "both.yaml").write_text(CONFIG)
    arguments = ["--config", "both.yaml", "--folds", FOLDS, "--crops", 5]
    done = run_here("cross-validate", *arguments, "--run", "runs/both", cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "stdout.txt").write_text(done.stdout)
    return folder


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle))


def split_of(task: str) -> PreparedSplit:
    return read_split(Path("data/train_valid") / task, "train", "val")


def folds_of(work: Path) -> dict[tuple[str, str], int]:
    """The fold of every row by task and file."""
    return {(row["task"], row["file"]): int(row["fold"]) for row in table(work / "folds.csv")}
