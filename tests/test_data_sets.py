"""Every shape of data from its label files to scores: prepare, train, predict and evaluate."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fashionai.config import DataConfig
from fashionai.families import LOGOS
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.zoo import build_network
from tests.support.commands import fashionai
from tests.support.data_trees import (
    NO_LOGO,
    put,
    write_cactus,
    write_class_folders,
    write_covers,
    write_logos,
    write_table,
)
from tests.support.images import encode

mx = import_mxnet()

PREPARED = Path("data/train_valid")
CONFIG = """\
task: {task}
model: {{name: small_cnn, pretrained: false}}
data: {{resize_short: 18, crop: 16}}
epochs: 1
batch_size: 8
optimizer: {{name: sgd, lr: 0.02}}
"""


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's folder of its own, in which nothing is prepared."""
    monkeypatch.chdir(tmp_path)


def run(command: str, *arguments: object) -> None:
    assert fashionai(command, *arguments) == 0


def prepare_and_train(task: str, *options: object, training: tuple[str, ...] = ()) -> Path:
    """Prepare a task and train a tiny network on it for an epoch; its run."""
    put(Path("c.yaml"), CONFIG.format(task=task))
    run("prepare", "--task", task, *options)
    run("train", "--config", "c.yaml", *training)
    return Path("runs") / task


def rows_of(path: Path) -> list[list[str]]:
    with open(path, newline="") as handle:
        return list(csv.reader(handle))


def prepared_labels(task: str, split: str) -> dict[str, int]:
    """Index of the class of every image of a split, by its place in the data."""
    header, *rows = rows_of(PREPARED / task / "manifest.csv")
    found = (dict(zip(header, row)) for row in rows)
    return {row["source"]: int(row["class_index"]) for row in found if row["split"] == split}


def evaluate(task: str, *arguments: object) -> dict[str, Any]:
    """The scores of a task by the command."""
    run("evaluate", *arguments, "--json", "scores.json")
    scores: dict[str, Any] = json.loads(Path("scores.json").read_text())["tasks"][task]
    return scores


def report(*arguments: object) -> dict[str, Any]:
    """The listed rows of a report on one task, by the command."""
    run("report", *arguments, "--out", "report.html")
    found = re.search('id="data">(.*?)</script>', Path("report.html").read_text())
    assert found is not None
    (listed,) = json.loads(found[1])
    return dict(listed)


def official_figures(answers: dict[str, str], truth: dict[str, str]) -> dict[str, float]:
    """FlickrLogos' precision, recall and accuracy, counted by name of the image."""
    brands = [name for name, label in truth.items() if label != NO_LOGO]
    answered = [name for name, label in answers.items() if label != NO_LOGO]
    right = [name for name in brands if answers[name] == truth[name]]
    right_none = [name for name in truth if answers[name] == truth[name] == NO_LOGO]
    return {
        "precision": len(right) / len(answered) if answered else float("nan"),
        "recall": len(right) / len(brands),
        "accuracy": (len(right) + len(right_none)) / len(truth),
    }


def write_two_brands() -> dict[str, str]:
    """A tree of two brands and no-logo below logos/; labels of its test images by their name."""
    counts = {"trainset": 6, "valset-logosonly": 4, "testset": 4}
    write_logos(Path("logos"), counts, {"valset-nologos": 12, "testset": 10}, ["aldi", "HP"])
    lines = Path("logos/testset.relpaths.txt").read_text().split()
    return {Path(line).stem: Path(line).parent.name for line in lines}


def test_logos() -> None:
    truth = write_two_brands()
    trained = prepare_and_train("logos", "--data", "logos")
    run("predict", "--run", trained, "--split", "test", "--out", "logos.csv")
    rows = rows_of(Path("logos.csv"))
    assert sorted(name for name, _, _ in rows) == sorted(truth)
    assert {label for _, label, _ in rows} <= {label.lower() for label in LOGOS.classes}
    assert all(0 <= float(confidence) <= 1 for _, _, confidence in rows)
    expected = official_figures({name: label for name, label, _ in rows}, truth)
    for source in (
        ["--run", trained, "--split", "test"],
        ["--predictions", "logos.csv", "--labels", PREPARED],
    ):
        scores = evaluate("logos", *source)
        assert scores["n"] == len(truth) == 18
        assert {name: scores["answers"][name] for name in expected} == pytest.approx(expected)


def test_logos_without_no_logo_in_training() -> None:
    """The answer is no-logo below a threshold, here one that divides the images in halves."""
    truth = write_two_brands()
    trained = prepare_and_train("logos", "--data", "logos", "--no-logo-share", "0")
    split = ["--run", trained, "--split", "test"]
    run("predict", *split, "--out", "table.csv", "--format", "table")
    header, *rows = rows_of(Path("table.csv"))
    assert header[3:] == [name for name in LOGOS.classes if name != NO_LOGO]
    best = {Path(row[0]).stem: (float(row[2]), row[1].lower()) for row in rows}
    threshold = float(np.median([confidence for confidence, _ in best.values()]).round(9))

    def answers(threshold: float) -> dict[str, str]:
        return {name: label if p >= threshold else NO_LOGO for name, (p, label) in best.items()}

    run("predict", *split, "--out", "logos.csv", "--threshold", threshold)
    written = {name: label for name, label, _ in rows_of(Path("logos.csv"))}
    assert written == answers(threshold)
    assert len(set(written.values())) > 1
    expected = official_figures(written, truth)
    for source in (
        [*split, "--threshold", threshold],
        ["--predictions", "logos.csv", "--labels", PREPARED],
    ):
        found = evaluate("logos", *source)["answers"]
        assert {name: found[name] for name in expected} == pytest.approx(expected)
    chosen = evaluate("logos", *split, "--threshold", "auto")["answers"]
    expected = official_figures(answers(chosen["threshold"]), truth)
    assert chosen["accuracy"] == pytest.approx(expected["accuracy"])
    given = [trained, "--split", "test", "--threshold", "auto"]
    shown = report(*given)
    labels = [shown["classes"][index] for index in shown["runs"][0]["predicted"]]
    names = [Path(name).stem for name in shown["name"]]
    assert dict(zip(names, map(str.lower, labels))) == {
        name: label.lower() for name, label in answers(chosen["threshold"]).items()
    }
    truths = [shown["classes"][index].lower() for index in shown["truth"]]
    assert dict(zip(names, truths)) == {name: label.lower() for name, label in truth.items()}
    page = Path("report.html").read_text()
    assert f'<td class="number">{chosen["threshold"]:g}</td>' in page
    assert f'<td class="number">{chosen["accuracy"]:.4f}</td></tr>' in page
    assert f"evaluate --run {trained}-again --split test --crops 10 --threshold auto" in page


@pytest.mark.parametrize("place", ["{part}", "{part}/{part}", "{part}.zip"])
def test_cacti(place: str) -> None:
    write_cactus(Path("cacti"), train=40, test=7, place=place)
    questions = rows_of(Path("cacti/sample_submission.csv"))
    shuffled = [questions[0], *reversed(questions[1:])]
    put(Path("cacti/sample_submission.csv"), "".join(",".join(row) + "\n" for row in shuffled))
    trained = prepare_and_train("cactus", "--data", "cacti", "--val-fraction", "0.4")
    run("predict", "--task", "cactus", "--data", "cacti", "--out", "submission.csv")
    header, *rows = rows_of(Path("submission.csv"))
    assert header == ["id", "has_cactus"]
    assert [name for name, _ in rows] == [name for name, _ in shuffled[1:]]
    assert all(0 <= float(value) <= 1 for _, value in rows)
    run("predict", "--run", trained, "--split", "val", "--out", "val.csv")
    labels = {Path(name).name: index for name, index in prepared_labels("cactus", "val").items()}
    predicted = {name: float(value) for name, value in rows_of(Path("val.csv"))[1:]}
    assert predicted.keys() == labels.keys()
    area = roc_auc_score([labels[name] for name in predicted], list(predicted.values()))
    for source in (
        ["--run", trained, "--split", "val"],
        ["--predictions", "val.csv", "--labels", PREPARED],
    ):
        assert evaluate("cactus", *source)["roc_auc"] == pytest.approx(area)


@pytest.mark.parametrize("threshold", [0.5, 0.45])
def test_covers(threshold: float) -> None:
    write_covers(Path("covers"), per_class=10)
    trained = prepare_and_train("covers", "--data", "covers", "--val-fraction", "0.4")
    options = [] if threshold == 0.5 else ["--threshold", str(threshold)]
    run("predict", "--run", trained, "--split", "val", "--out", "covers.csv", *options)
    header, *rows = rows_of(Path("covers.csv"))
    assert header == ["file", "probability", "is_cat"]
    labels = prepared_labels("covers", "val")
    assert [name for name, _, _ in rows] == list(labels)
    for _, probability, is_cat in rows:
        assert is_cat == str(int(float(probability) > threshold))
    accuracy = sum(int(is_cat) == labels[name] for name, _, is_cat in rows) / len(rows)
    for source in (
        ["--run", trained, "--split", "val"],
        ["--predictions", "covers.csv", "--labels", PREPARED],
    ):
        scores = evaluate("covers", *source, *options)
        found = scores["answers"] if options else scores
        assert found["accuracy"] == pytest.approx(accuracy)
    shown = report(trained, "--predictions", "covers.csv", "--labels", PREPARED, *options)
    header, *manifest = rows_of(PREPARED / "covers/manifest.csv")
    files = {row[header.index("source")]: row[header.index("file")] for row in manifest}
    of_rows = dict(zip(shown["name"], shown["runs"][0]["predicted"]))
    assert of_rows == {files[name]: int(is_cat) for name, _, is_cat in rows}
    if options:
        refused = ["--predictions", "covers.csv", "--labels", PREPARED, "--out", "other.html"]
        assert fashionai("report", trained, *refused) == 2
        assert fashionai("report", trained, *refused, "--threshold", "auto") == 2
        assert not Path("other.html").exists()


@pytest.mark.parametrize("shape", ["csv", "folders", "split folders"])
def test_ones_own_images(shape: str) -> None:
    """Trained, and then asked of a folder, a list and a table, the same answers."""
    counts = {"": 8} if shape == "folders" else {"train": 6, "val": 2}
    if shape == "csv":
        write_table(Path("own"))
        options = ["--csv", "own/labels.csv", "--images", "own/images"]
    else:
        options = ["--folders", write_class_folders(Path("own"), counts)]
    trained = prepare_and_train("pets", *options, "--val-fraction", "0.25")
    scores = evaluate("pets", "--run", trained, "--split", "val")
    run("predict", "--run", trained, "--split", "val", "--out", "val.csv")
    header, *rows = rows_of(Path("val.csv"))
    assert header == ["path", "class", "probability", "cat", "dog", "owl"]
    labels = prepared_labels("pets", "val")
    assert [row[0] for row in rows] == list(labels)
    right = [row[1] == header[3 + labels[row[0]]] for row in rows]
    assert scores["n"] == len(rows) == 6
    assert scores["accuracy"] == pytest.approx(np.mean(right))
    asked_anew(trained)


def asked_anew(trained: Path) -> None:
    """Images that no label file names, as a folder, a list and a table of them."""
    rng = np.random.default_rng(5)
    names = [f"{index}.jpg" for index in range(4)]
    for index, name in enumerate(names):
        put(Path("new") / name, encode(index % 3, rng))
    put(Path("new/list.txt"), "".join(f"{name}\n" for name in names))
    put(Path("new/table.csv"), "nr;photo\n" + "".join(f"{i};{n}\n" for i, n in enumerate(names)))
    answers = []
    for questions in (["new"], ["new/list.txt"], ["new/table.csv", "--path-column", "photo"]):
        run("predict", "--run", trained, "--out", "new.csv", "--questions", *questions)
        answers.append(rows_of(Path("new.csv")))
    assert [row[0] for row in answers[0][1:]] == names
    assert answers[0] == answers[1] == answers[2]


def test_images_smaller_than_the_crop_are_enlarged() -> None:
    """20x30 pixels at a crop of 224, in training, validation and prediction."""
    rng = np.random.default_rng(2)
    for index in range(12):
        image = rng.integers(0, 256, (30, 20, 3) if index % 4 == 0 else (20, 30, 3), np.uint8)
        path = put(Path("tiny") / "ab"[index % 2] / f"{index}.png")
        cv2.imwrite(str(path), image)
    data = ("model.name=mobilenet0.25", "data.resize_short=256", "data.crop=224")
    # The default augmentation cuts at random.
    trained = prepare_and_train("tiny", "--folders", "tiny", training=data)
    assert {row["name"] for row in DataConfig().model_dump()["augment"]} >= {"random_crop"}
    arguments = ["--crops", "1", "--format", "table", "--questions", "tiny"]
    run("predict", "--run", trained, "--out", "tiny.csv", *arguments)
    _, *rows = rows_of(Path("tiny.csv"))
    assert len(rows) == 12
    network = build_network("mobilenet0.25", 2, 224)
    network.load_parameters(str(trained / "best.params"))
    for name, *_, first, second in rows:
        image = cv2.imread(str(Path("tiny") / name))
        size = (384, 256) if image.shape[1] == 30 else (256, 384)
        large = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)[:, :, ::-1]
        y, x = (large.shape[0] - 224) // 2, (large.shape[1] - 224) // 2
        pixels = (large[y : y + 224, x : x + 224] / 255 - [0.485, 0.456, 0.406]) / [
            *(0.229, 0.224, 0.225)
        ]
        logits = network(mx.nd.array(pixels.transpose(2, 0, 1)[None])).asnumpy()[0]
        expected = np.exp(logits) / np.exp(logits).sum()
        np.testing.assert_allclose([float(first), float(second)], expected, atol=1e-5)
