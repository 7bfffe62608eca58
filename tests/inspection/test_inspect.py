"""fashionai inspect: planted wrong labels and copies are found, and wrong arguments are refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from fashionai.inspection.findings import Finding, read_findings
from fashionai.inspection.images import TaskImages
from fashionai.inspection.inspect import are_informative, inspect_labels
from fashionai.scoring.rows.labelled_predictions import LabelledPredictions
from fashionai.tasks import Task
from tests.support.commands import fashionai, run_in
from tests.support.data_trees import put
from tests.support.images import photograph

CLASSES = ("owl", "tit", "wren")
# Labels are wrong of these pictures. The second one's copy has the right label.
WRONG = (4, 9, 17)
HEADER = "path,class,probability," + ",".join(CLASSES)


def picture(number: int) -> bytes:
    pixels = photograph(40 + number, 60)
    return cv2.imencode(".png", pixels)[1].tobytes()


@pytest.fixture(scope="module")
def birds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 30 prepared pictures and a copy, and a cross-validation that predicted them."""
    folder = tmp_path_factory.mktemp("birds")
    rows, predictions = ["path,label,split"], [HEADER]
    for number in range(30):
        put(folder / f"images/{number:02d}.png", picture(number))
        label = (number + (number in WRONG)) % 3
        rows.append(f"{number:02d}.png,{CLASSES[label]},{'val' if number > 25 else 'train'}")
        predictions.append(prediction(f"{number:02d}.png", number % 3))
    larger = cv2.resize(photograph(49, 60)[:, ::-1], (120, 98))
    put(folder / "images/copy.png", cv2.imencode(".png", larger)[1].tobytes())
    rows.append(f"copy.png,{CLASSES[0]},val")
    predictions.append(prediction("copy.png", 0))
    put(folder / "labels.csv", "\n".join(rows))
    put(folder / "runs/birds-folds/cross_validation.yaml", "{folds: 2, crops: 1}\n")
    put(folder / "runs/birds-folds/out_of_fold.csv", "\n".join(predictions))
    run_in(folder, ["prepare", "--task", "birds", "--csv", "labels.csv", "--images", "images",
                    "--split-column", "split"])  # fmt: skip
    return folder


def prediction(name: str, truth: int) -> str:
    numbers = [0.05, 0.05, 0.05]
    numbers[truth] = 0.9
    return ",".join([name, CLASSES[truth], "0.9", *map(str, numbers)])


@pytest.fixture(autouse=True)
def inside(birds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(birds)


def inspect(*arguments: object) -> object:
    return fashionai("inspect", "--task", "birds", "--folder", "data/train_valid", *arguments)


def test_wrong_labels_and_copies_are_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "findings.csv"
    assert inspect("--folds", "runs/birds-folds", "--out", out) == 0
    findings = read_findings(out)
    suspects = [each for each in findings if each.kind == "label"]
    assert {each.path for each in suspects} == {f"{number:02d}.png" for number in WRONG}
    for each in suspects:
        number = int(each.path[:2])
        assert (each.label, each.suggested) == (CLASSES[(number + 1) % 3], CLASSES[number % 3])
        assert (each.label_probability, each.suggested_probability) == ("0.0500", "0.9000")
        assert each.split == "train"
    (pair,) = (each for each in findings if each.kind != "label")
    assert pair == Finding(
        "near-duplicate",
        *("09.png", "train", "tit"),
        other_path="copy.png",
        other_split="val",
        other_label="owl",
        similarity=pair.similarity,
    )
    assert float(pair.similarity) >= 0.95
    text = capsys.readouterr().out
    assert "suspect labels: 3 of 31 images" in text
    assert "look alike: 1 pair (in different splits: 1, with different labels: 1)" in text
    assert f"Next: fashionai review --task birds --suspects {out}" in text
    assert max(map(len, text.replace(str(out), "findings.csv").splitlines())) <= 80


def test_without_predictions_it_finds_copies_and_says_how_to_get_suspects(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert inspect() == 0
    text = capsys.readouterr().out
    assert "suspect labels: give --run RUN" in text
    assert "look alike: 1 pair" in text


def test_the_screen_shows_rounded_probabilities(
    birds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folds = shutil.copytree(birds / "runs/birds-folds", tmp_path / "folds")
    file = folds / "out_of_fold.csv"
    # Of a wrong label 0.0452, of the suggested one 0.9096.
    file.write_text(file.read_text().replace("0.05", "0.0452").replace("0.9", "0.9096"))
    assert inspect("--folds", folds) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["04.png", "wren", "0.05", "tit", "0.91"] in rows


def test_byte_identical_images_are_named_so(tmp_path: Path) -> None:
    for name in ("owl/a.png", "tit/b.png"):
        put(tmp_path / "photos" / name, picture(0))
    for name in ("owl/c.png", "tit/d.png"):
        put(tmp_path / "photos" / name, picture(len(name) + ord(name[4])))
    run_in(tmp_path, ["prepare", "--task", "few", "--folders", "photos"])
    run_in(tmp_path, ["inspect", "--task", "few", "--out", "f.csv"])
    (pair,) = read_findings(tmp_path / "f.csv")
    assert (pair.kind, pair.path, pair.other_path) == ("identical", "owl/a.png", "tit/b.png")
    assert pair.across_labels


def test_a_run_finds_suspects_among_its_validation_images(
    trained_cnn: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(trained_cnn.parents[1])
    assert fashionai("inspect", "--task", "skirt", "--run", "runs-cnn/skirt", "--crops", "1") == 0
    assert "suspect labels: 0 of 12 images" in capsys.readouterr().out


def test_folds_that_do_not_fit_are_refused(
    birds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folds = shutil.copytree(birds / "runs/birds-folds", tmp_path / "folds")
    file = folds / "out_of_fold.csv"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[:-1]))
    assert inspect("--folds", folds) == 2
    assert f"{file} has no prediction for 1 row of" in capsys.readouterr().err
    file.unlink()
    assert inspect("--folds", folds) == 2
    assert "is not finished yet. Finish" in capsys.readouterr().err
    assert inspect("--folds", tmp_path) == 2
    assert "not a cross-validation" in capsys.readouterr().err
    assert inspect("--folds", "runs/bird-folds") == 2
    told = "--folds runs/bird-folds: does not exist. Did you mean 'runs/birds-folds'?"
    assert told in " ".join(capsys.readouterr().err.split())
    assert inspect("--folds", folds, "--run", "runs/birds") == 2


def test_suggestions_that_annotators_accept_are_no_findings() -> None:
    marks = np.array([[2, 0], [2, 1], [0, 2], [2, 0], [0, 2]], np.int8)
    probabilities = np.array([[0.1, 0.9], [0.1, 0.9], [0.2, 0.8], [0.9, 0.1], [0.1, 0.9]])
    paths = [Path(f"train/0_a/{number}.png") for number in range(5)]
    task, names = Task("t", (), ("a", "b"), "table"), [path.name for path in paths]
    images = TaskImages(task, paths, names, ["train"] * 5, "aabab")
    held_out = LabelledPredictions(task, names, paths, marks, probabilities)
    found = inspect_labels(images, held_out)
    assert [each.path for each in found] == ["0.png"]


def test_suspects_by_a_network_that_knows_nothing_are_told_so(
    birds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folds = shutil.copytree(birds / "runs/birds-folds", tmp_path / "folds")
    file = folds / "out_of_fold.csv"
    images = [line.split(",")[0] for line in file.read_text().splitlines()[1:]]
    file.write_text("\n".join([HEADER, *(f"{image},owl,0.4,0.4,0.3,0.3" for image in images)]))
    assert inspect("--folds", folds, "--out", tmp_path / "findings.csv") == 0
    text = capsys.readouterr().out
    # Of 31 labels 11 are owl.
    assert "suspect labels: 20 of 31 images" in text
    assert "not clearly better than chance" in text
    assert f"... and 10 more; all are in {tmp_path / 'findings.csv'}" in text


def test_random_predictions_are_rarely_informative_and_good_ones_always() -> None:
    rng = np.random.default_rng(0)
    task = Task("t", (), ("a", "b", "c"), "table")
    random, good = [], []
    for _ in range(200):
        # Imbalanced, so that predictions of the first class alone have an accuracy of 0.8.
        labels = rng.choice(3, 100, p=[0.8, 0.1, 0.1])
        marks = np.where(np.eye(3)[labels] > 0, 2, 0).astype(np.int8)
        predicted = rng.random((100, 3)) * [1.5, 1, 1]
        names = [""] * 100
        random.append(are_informative(LabelledPredictions(task, names, names, marks, predicted)))
        predicted = predicted + np.eye(3)[labels]
        good.append(are_informative(LabelledPredictions(task, names, names, marks, predicted)))
    assert np.mean(random) <= 0.06
    assert all(good)
