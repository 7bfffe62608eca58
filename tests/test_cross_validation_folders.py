"""What cross-validation does with folders: kept when it fails, moved, begun in another way."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from fashionai.predictions.formats import read_predictions
from tests.support.commands import fashionai, run_in
from tests.support.data_trees import tree, write_fashionai_data
from tests.support.prepared_data import prepare

PANT = "pant_length_labels"
IMAGES = 30
CONFIG = """\
task: pant
model: {name: small_cnn, pretrained: false}
data: {resize_short: 36, crop: 32}
epochs: 1
batch_size: 16
optimizer: {name: sgd, lr: 0.002}
"""
SMALL = ["--config", "pant.yaml", "--folds", "2", "--crops", "5"]


def write_inputs(folder: Path) -> None:
    write_fashionai_data(folder / "data", PANT, per_class=5, test_per_class=1)
    (folder / "pant.yaml").write_text(CONFIG)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with runs/pants, a finished cross-validation of two folds."""
    folder = tmp_path_factory.mktemp("folders")
    write_inputs(folder)
    prepare(folder, "pant")
    run_in(folder, ["cross-validate", *SMALL, "--run", "runs/pants"])
    return folder


@pytest.fixture
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, made the current one."""
    monkeypatch.chdir(folder)
    return folder


REFUSED = [
    (
        ["model.name=small_cnm"],
        "model.name: unknown network 'small_cnm'. Did you mean 'small_cnn'?",
    ),
    (
        ["--folds", IMAGES + 1],
        f"{PANT}: too few images for {IMAGES + 1} folds: {IMAGES}. Give fewer --folds",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_what_cannot_be_trained_overwrites_nothing(
    inside: Path, arguments: list[object], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(inside / "runs")
    assert "pants/fold-2/best.params" in before
    start = ["cross-validate", *SMALL, "--run", "runs/pants", "--overwrite"]
    assert fashionai(*start, *arguments) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"Error: {message}"
    assert tree(inside / "runs") == before


READ = [
    ("model.pretrained", "fold-1/best.params"),
    ("data.soft_targets", "out_of_fold.csv"),
    ("data.folder", "fold-1"),
    ("data.folder", "."),
]


@pytest.mark.parametrize(
    ("command", "key", "name"),
    [
        *(("cross-validate", *each) for each in READ),
        *(("train", *each) for each in READ),
        ("train", "data.folds_file", "folds.csv"),
    ],
)
def test_files_that_are_read_are_not_overwritten(
    inside: Path, command: str, key: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(inside / "runs")
    small = SMALL if command == "cross-validate" else SMALL[:2]
    start = [command, *small, "--run", "runs/pants", "--overwrite"]
    fold = ["data.fold=1"] if key == "data.folds_file" else []
    link = Path("runs/link")
    link.symlink_to(Path("pants").joinpath(name))
    for file in (Path("runs/pants", name), link):
        assert fashionai(*start, f"{key}={file}", *fold) == 2
        assert capsys.readouterr().err.splitlines()[-1] == (
            f"Error: {key}: {file} is lost when --overwrite deletes runs/pants. "
            "Name another --run, or copy it elsewhere"
        )
    link.unlink()
    assert tree(inside / "runs") == before


@pytest.mark.parametrize("command", ["train", "cross-validate"])
def test_the_configuration_that_is_read_is_not_overwritten(
    inside: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    small = SMALL[2:] if command == "cross-validate" else []
    place, link = Path(f"runs/{command}-own"), Path("link.yaml")
    shutil.copytree("runs/pants", place)
    shutil.copy("runs/pants/fold-1/config.yaml", place / "config.yaml")
    shutil.copy("runs/pants/fold-1/classes.json", place / "classes.json")
    mine, own = place / "mine.yaml", place / "config.yaml"
    if command == "cross-validate":
        own = place / "config.base.yaml"
    shutil.copy("pant.yaml", mine)
    link.symlink_to(mine)
    before = tree(place)
    for file in (mine, link, own):
        start = [command, "--config", file, "--run", place, "--overwrite", *small]
        assert fashionai(*start) == 2
        assert capsys.readouterr().err.splitlines()[-1] == (
            f"Error: --config: {file} is lost when --overwrite deletes {place}. "
            "Name another --run, or copy it elsewhere"
        )
    assert tree(place) == before
    link.unlink()
    shutil.rmtree(place)


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_what_cannot_be_trained_makes_no_folder(
    inside: Path, arguments: list[object], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fashionai("cross-validate", *SMALL, "--run", "others/new", *arguments) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"Error: {message}"
    assert not Path("others").exists()


def test_resume_with_other_crops_is_refused(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(inside / "runs")
    assert fashionai("cross-validate", "--run", "runs/pants", "--resume", "--crops", "1") == 2
    assert capsys.readouterr().err == (
        "Error: runs/pants: was begun with other settings (crops: 5, not 1). Resume without "
        "them, or give --overwrite or another --run\n"
    )
    assert tree(inside / "runs") == before


def images_in_fold(work: Path, fold: int) -> set[str]:
    with open(work / "folds.csv", newline="") as handle:
        return {row["file"] for row in csv.DictReader(handle) if int(row["fold"]) == fold}


def predicted_images(run: Path, split: str) -> list[str]:
    assert fashionai("predict", "--out", "own.csv", "--run", run, "--split", split) == 0
    return [Path(row.image).name for row in read_predictions(Path("own.csv"))]


def test_a_moved_one_goes_by_its_own_folds(inside: Path) -> None:
    """Even where another one with other folds stands in its place."""
    shutil.copytree("runs/pants", "runs/taken")
    place, moved = Path("runs/taken"), Path("elsewhere/moved")
    assert fashionai("cross-validate", *SMALL, "--run", place, "--overwrite") == 0
    moved.parent.mkdir()
    place.rename(moved)
    assert fashionai("cross-validate", *SMALL, "--run", place, "seed=9") == 0
    for fold, other in ((1, 2), (2, 1)):
        own = images_in_fold(moved, fold)
        assert own != images_in_fold(place, fold)
        found = predicted_images(moved / f"fold-{fold}", "val")
        assert len(found) == len(own)
        assert set(found) == own
        assert set(predicted_images(moved / f"fold-{fold}", "train")) == images_in_fold(
            moved, other
        )


def test_images_of_one_name_in_two_sets_are_refused_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    line = Path("data/base/Annotations/label.csv").read_text().splitlines()[3]
    image = line.split(",")[0]
    (Path("data/train") / image).parent.mkdir(parents=True)
    shutil.copy(Path("data/base") / image, Path("data/train") / image)
    Path("data/train/Annotations").mkdir()
    Path("data/train/Annotations/label.csv").write_text(line + "\n")
    assert fashionai("prepare", "--task", "pant") == 0  # equal images share a split
    with open(f"data/train_valid/{PANT}/manifest.csv", newline="") as handle:
        (split,) = {r["split"] for r in csv.DictReader(handle) if r["source"].endswith(image)}
    assert fashionai("train", "--config", "pant.yaml", "--run", "runs/pant") == 0
    capsys.readouterr()
    message = (
        f"Error: {PANT}: base/{image} and train/{image} have the same name in prediction files. "
        "Leave one of them out of the label files and prepare again"
    )
    assert fashionai("cross-validate", *SMALL, "--run", "runs/folds") == 2
    assert capsys.readouterr().err.splitlines()[-1] == message
    assert not Path("runs/folds").exists()
    arguments = ["--out", "own.csv", "--run", "runs/pant", "--split", split]
    assert fashionai("predict", *arguments) == 2
    assert capsys.readouterr().err.splitlines()[-1] == message
    assert not Path("own.csv").exists()
