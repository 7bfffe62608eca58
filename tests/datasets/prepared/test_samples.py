"""Samples of several tasks: read together if they are of one data set, refused otherwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fashionai.cli import main
from fashionai.config import load_config
from fashionai.datasets.prepared.samples import read_samples
from fashionai.errors import ConfigError
from tests.support.data_trees import write_class_folders, write_fashionai_data, write_idx_set

CONFIG = """\
model: {name: small_cnn, pretrained: false}
data: {resize_short: 36, crop: 32}
epochs: 1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: skirts, Fashion-MNIST and two tasks of one's own, all prepared."""
    folder = tmp_path_factory.mktemp("rows")
    write_fashionai_data(folder / "data", per_class=3)
    write_idx_set(folder / "data", train=40)
    write_class_folders(folder / "pets", classes=("cat", "dog"))
    write_class_folders(folder / "birds", classes=("owl", "robin", "tit"))
    for name, *options in (
        ("skirt", "--data", folder / "data"),
        ("fashion-mnist", "--data", folder / "data"),
        ("pets", "--folders", folder / "pets"),
        ("birds", "--folders", folder / "birds"),
    ):
        place = ["--out", folder / "data/train_valid"]
        main(["prepare", "--task", name, *map(str, [*options, *place])])
    return folder


@pytest.fixture(autouse=True)
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's folder, made the current one."""
    monkeypatch.chdir(folder)


def write_config(task: str) -> Path:
    Path("c.yaml").write_text(f"task: {task}\n{CONFIG}")
    return Path("c.yaml")


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("[skirt, fashion-mnist]", "skirt_length_labels, fashion-mnist"),
        ("[pets, skirt]", "pets, skirt_length_labels"),
    ],
)
def test_tasks_of_different_data_sets_are_refused(
    task: str, names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    message = f"task: {names} are of different data sets, expected one data set"
    for split in ("train", "val"):
        with pytest.raises(ConfigError) as caught:
            read_samples(load_config(write_config(task)), split)
        assert str(caught.value) == message
    for command in (["train"], ["cross-validate", "--folds", "2"]):
        with pytest.raises(SystemExit) as stop:
            main([*command, "--config", str(write_config(task)), "--run", "runs/mixed"])
        assert stop.value.code == 2
        assert capsys.readouterr().err.splitlines()[-1:] == [f"Error: {message}"]
        assert not Path("runs/mixed").exists()


def test_tasks_of_ones_own_lie_side_by_side() -> None:
    rows = read_samples(load_config(write_config("[pets, birds]")), "train")
    assert [task.classes for task in rows.tasks] == [("cat", "dog"), ("owl", "robin", "tit")]
    labels = [name for task in rows.tasks for name in task.classes]
    assert np.array_equal(rows.heads, [0] * 14 + [1] * 21)
    for path, marks in zip(rows.paths, rows.marks):
        (at,) = np.flatnonzero(marks)
        assert path.parent.name.partition("_")[2] == labels[at]
