"""A run that is scored on labelled images: as predict and then evaluate, by one command."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

import fashionai
from tests.support.commands import fashionai as command
from tests.support.commands import run_here
from tests.support.data_trees import put, write_table

CLASSES = ("cat", "dog", "owl")
CONFIG = """\
task: pets
model: {name: small_cnn, pretrained: false}
data: {resize_short: 36, crop: 32}
epochs: 2
batch_size: 8
optimizer: {lr: 0.02}
"""
FAST = ("--crops", "1", "--engine", "gluon")


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs/pets, and with new/: images, class folders and CSV files of labels."""
    folder = tmp_path_factory.mktemp("pets")
    write_table(folder / "own", CLASSES)
    (folder / "pets.yaml").write_text(CONFIG)
    for arguments in (
        ["prepare", "--task", "pets", "--csv", "own/labels.csv", "--images", "own/images"],
        ["train", "--config", "pets.yaml"],
    ):
        done = run_here(*arguments, cwd=folder)
        assert done.returncode == 0, done.stderr
    new = write_table(folder / "new", CLASSES, per_class=4, seed=5)
    rows = list(csv.reader((new / "labels.csv").open()))[1:]
    write_csv_files(new, rows)
    for name, label in rows:
        put(folder / "folders" / label / name, (new / "images" / name).read_bytes())
    return folder


def write_csv_files(new: Path, rows: list[list[str]]) -> None:
    """The same labels as CSV files of other kinds that prepare takes."""
    place = (new / "images").absolute()
    put(new / "odd.csv", "".join(f"{label};x;{name}\n" for name, label in [["s", "p"], *rows]))
    put(new / "stems.csv", "".join(f"{name[:-4]}\t{label}\n" for name, label in rows))
    put(new / "absolute.csv", "".join(f"{place / name},{label}\n" for name, label in rows))
    hot = ["path,split,cat,dog,owl"]
    hot += [
        f"{name},test,{','.join(str(int(c == label)) for c in CLASSES)}" for name, label in rows
    ]
    put(new / "one-hot.csv", "\n".join(hot))


def scores(folder: Path, *arguments: object, file: str = "s.json") -> dict[str, float]:
    """The scores that evaluate writes for the only task."""
    given = ["evaluate", *map(str, arguments), "--json", str(folder / file), "--overwrite"]
    assert command(*given) == 0
    (task,) = json.loads((folder / file).read_text())["tasks"].values()
    return {name: value for name, value in task.items() if name != "intervals"}


@pytest.mark.parametrize(
    "labels",
    [
        ["new/labels.csv", "--images", "new/images"],
        ["new/odd.csv", "--images", "new/images", "--path-column", "s", "--label-column", "p"],
        ["new/odd.csv", "--images", "new/images", "--path-column", "3", "--label-column", "p"],
        ["new/stems.csv", "--images", "new/images"],
        ["new/absolute.csv", "--images", "new/images"],
        ["new/one-hot.csv", "--images", "new/images"],
        ["new/one-hot.csv", "--images", "new/images", "--split-column", "split"],
    ],
    ids=" ".join,
)
def test_a_csv_that_prepare_takes_is_scored(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: list[str]
) -> None:
    """By one command, and by predict and evaluate, whose scores are the same."""
    monkeypatch.chdir(pets)
    if not (pets / "p.csv").exists():
        predicting = ["--run", "runs/pets", "--questions", "new/images", *FAST]
        assert command("predict", "--out", "p.csv", *predicting) == 0
    predicted = scores(tmp_path, "--predictions", "p.csv", "--labels", *labels)
    at_once = scores(tmp_path, "--run", "runs/pets", "--labels", *labels, *FAST)
    assert at_once == predicted
    assert at_once["n"] == 12


def test_images_that_were_trained_on_are_told(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(pets)
    with open("data/train_valid/pets/manifest.csv", encoding="utf-8") as manifest:
        rows = list(csv.DictReader(manifest))
    trained = sum(row["split"] == "train" for row in rows)
    told = f"runs/pets was trained on {trained} of {len(rows)} images, so the scores are too high"
    copied = shutil.copytree("own", tmp_path / "copied")
    for folder in (Path("own"), copied):
        own = ("--labels", folder / "labels.csv", "--images", folder / "images")
        scores(tmp_path, "--run", "runs/pets", *own, *FAST)
        assert told in capsys.readouterr().err
    scores(tmp_path, "--run", "runs/pets", "--labels", "folders", *FAST)
    assert "trained on" not in capsys.readouterr().err


def test_class_folders_are_scored(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is no image is named on standard error, in the words of predict and classify."""
    monkeypatch.chdir(pets)
    shutil.copytree("folders", tmp_path / "f")
    put(tmp_path / "f/cat/notes.txt", "cats")
    at_once = scores(tmp_path, "--run", "runs/pets", "--labels", tmp_path / "f", *FAST)
    told = f"{tmp_path}/f: 1 file skipped because it is not an image: cat/notes.txt\n"
    assert capsys.readouterr().err == told
    out = tmp_path / "p.csv"
    predicting = ["--run", "runs/pets", "--questions", tmp_path / "f", *FAST]
    assert command("predict", "--out", out, *predicting) == 0
    assert capsys.readouterr().err == told
    assert command("classify", "--run", "runs/pets", tmp_path / "f", *FAST) == 0
    assert capsys.readouterr().err == told
    assert scores(tmp_path, "--predictions", out, "--labels", tmp_path / "f") == at_once
    by_table = scores(
        tmp_path,
        "--run",
        "runs/pets",
        "--labels",
        "new/labels.csv",
        "--images",
        "new/images",
        *FAST,
    )
    # In another order, with which sums are rounded otherwise.
    assert by_table == pytest.approx(at_once, rel=1e-6)
    (tmp_path / "f/cat").rename(tmp_path / "f/cats")
    assert command("evaluate", "--run", "runs/pets", "--labels", tmp_path / "f") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == f"Error: {tmp_path}/f/cats: unknown class 'cats'. Did you mean 'cat'?"


def test_a_prepared_folder_needs_a_split(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(pets)
    run = ["--run", "runs/pets", *FAST]
    labels = ["--labels", "data/train_valid"]
    assert scores(tmp_path, *run, *labels, "--split", "val") == scores(tmp_path, *run)
    capsys.readouterr()
    assert command("evaluate", *run, *labels) == 2
    assert capsys.readouterr().err == (
        "Error: data/train_valid: has rows of train, val. Give --split, such as --split val\n"
    )


def test_an_answer_file_is_scored(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The images of the labels that prepare has read: its archive's folder is found."""
    monkeypatch.chdir(trained)
    labels = "data/base/Annotations/label.csv"
    predicting = ["--run", "runs/skirt", "--questions", labels, *FAST]
    assert command("predict", "--out", tmp_path / "p.csv", *predicting) == 0
    by_file = scores(tmp_path, "--predictions", tmp_path / "p.csv", "--labels", labels)
    assert scores(tmp_path, "--run", "runs/skirt", "--labels", labels, *FAST) == by_file


def test_images_that_cannot_be_used_are_left_out(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(pets)
    shutil.copytree("folders", tmp_path / "f")
    bad = next((tmp_path / "f/owl").iterdir())
    bad.write_bytes(b"no image")
    run = ["--run", "runs/pets", "--labels", tmp_path / "f", *FAST]
    assert command("evaluate", *run) == 2
    assert capsys.readouterr().err.startswith(f"Error: {bad}: cannot be used: ")
    assert scores(tmp_path, *run, "--skip-bad")["n"] == 11
    assert capsys.readouterr().err.startswith(f"left out: {bad}: ")


def test_python_gives_the_scores_of_the_command(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the ends of the intervals beside them."""
    monkeypatch.chdir(pets)
    labels = ["--labels", "new/odd.csv", "--images", "new/images", "--label-column", "p"]
    expected = scores(tmp_path, "--run", "runs/pets", *labels, "--path-column", "s", *FAST)
    frame = fashionai.evaluate(
        "runs/pets",
        labels="new/odd.csv",
        images="new/images",
        columns={"path": "s", "label": "p"},
        crops=1,
        engine="gluon",
    )
    assert frame.index == ["pets"]
    row = frame.loc["pets"]
    assert row["accuracy"] == expected["accuracy"]
    intervals = json.loads((tmp_path / "s.json").read_text())["tasks"]["pets"]["intervals"]
    assert [row["map_low"], row["map_high"]] == intervals["map"]


def test_a_frame_without_a_name_gives_a_task_without_one(pets: Path) -> None:
    import pandas as pd

    predictions = pd.DataFrame({"path": ["a", "b"], "class": ["x", "y"], "probability": [0.9, 0.8]})
    predictions = predictions.assign(x=[0.9, 0.2], y=[0.1, 0.8])
    labels = pd.DataFrame({"path": ["a", "b"], "label": ["x", "y"]})
    assert list(fashionai.evaluate(predictions, labels=labels).index) == ["predictions"]
    named = fashionai.evaluate(predictions, labels=labels, task="pets")
    assert list(named.index) == ["pets"]
