"""Cross-validation as a user runs it: what it leaves, prints and predicts."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections import Counter, defaultdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from fashionai.config import save_config
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.metrics import task_scores
from fashionai.predictions.explain import explain
from fashionai.predictions.formats import (
    probability_format,
    read_predictions,
    write_predictions,
)
from fashionai.predictions.predict import predict_images
from fashionai.reporting.explanations import overlay
from fashionai.reporting.report.thumbnails import encoded
from fashionai.runs import Run, RunFolder
from fashionai.scoring.out_of_fold import rows_of_folds
from fashionai.scoring.rows.labelled_predictions import LabelledPredictions
from tests.support.commands import fashionai
from tests.support.cross_validations import FOLDS, folds_of, split_of, table
from tests.support.prepared_data import TASKS

mx = import_mxnet()

# By task and fold: probabilities of the rows, their marks, their images.
HeldOut = dict[tuple[str, int], tuple[np.ndarray, np.ndarray, list[str]]]


@pytest.fixture
def work(crossed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The finished cross-validation, in its current folder."""
    monkeypatch.chdir(crossed)
    return Path("runs/both")


@pytest.fixture(scope="module")
def held_out(crossed: Path) -> HeldOut:
    """What each fold's run says of the rows that it has not seen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(crossed)
        return predict_held_out(Path("runs/both"))


def predict_held_out(work: Path) -> HeldOut:
    folds, found = folds_of(work), {}
    for task in TASKS:
        split = split_of(task)
        for number in range(1, FOLDS + 1):
            rows = [i for i, p in enumerate(split.paths) if folds[task, p.name] == number]
            run = Run.open(work / f"fold-{number}")
            paths = [split.paths[row] for row in rows]
            answers = predict_images(paths, [run], [mx.cpu()], crops=5)
            images = [f"Images/{task}/{Path(split.sources[row]).name}" for row in rows]
            found[task, number] = answers[split.task], split.marks[rows], images
    return found


def test_the_folder_holds_what_is_documented(work: Path) -> None:
    names = sorted(path.name for path in work.iterdir())
    assert names == [
        *("config.base.yaml", "cross_validation.yaml", "curves.png"),
        *("fold-1", "fold-2", "fold-3", "folds.csv", "out_of_fold.csv", "scores.json"),
    ]
    for number in range(1, FOLDS + 1):
        run = Run.open(work / f"fold-{number}")
        assert run.is_finished
        data = run.config.data
        assert (data.folds_file, data.fold) == ("runs/both/folds.csv", number)
        assert cv2.imread(str(run.path / "curves.png")) is not None
    assert cv2.imread(str(work / "curves.png")) is not None


def test_folds_are_stratified_and_copies_share_one(work: Path) -> None:
    folds = folds_of(work)
    assert len(folds) == sum(len(split_of(task).paths) for task in TASKS)
    for task in TASKS:
        split = split_of(task)
        counts: dict[int, Counter[int]] = defaultdict(Counter)
        folds_of_content = defaultdict(set)
        for path, index in zip(split.paths, split.class_indices):
            counts[int(index)][folds[task, path.name]] += 1
            folds_of_content[path.read_bytes()].add(folds[task, path.name])
        assert all(len(found) == 1 for found in folds_of_content.values())
        for index, count in counts.items():
            if (task, index) != (TASKS[0], 2):  # the class of the six equal images
                assert max(count.values()) - min(count[n] for n in range(1, FOLDS + 1)) <= 1
        copies = [folds[task, p.name] for p in split.paths if p.name.startswith("copy-")]
        assert len(copies) == (5 if task == TASKS[0] else 0)


def test_each_row_is_predicted_once_by_the_run_without_it(work: Path, held_out: HeldOut) -> None:
    predicted = read_predictions(work / "out_of_fold.csv")
    expected = {}
    for (task, _), (probabilities, _, images) in held_out.items():
        expected.update({(image, task): row for image, row in zip(images, probabilities)})
    assert Counter(row.key for row in predicted) == Counter(expected.keys())
    listed = {
        (f"Images/{task}/{Path(row['source']).name}", task)
        for task in TASKS
        for row in table(Path("data/train_valid") / task / "manifest.csv")
        if row["split"] != "test"
    }
    assert expected.keys() == listed
    for row in predicted:
        np.testing.assert_allclose(row.probabilities, expected[row.key], atol=2e-6)


def test_scores_are_those_of_the_held_out_rows(work: Path, held_out: HeldOut) -> None:
    scores = json.loads((work / "scores.json").read_text())
    over_tasks = []
    for number in range(1, FOLDS + 1):
        fold = scores["folds"][number - 1]
        each = []
        for task in TASKS:
            probabilities, marks, _ = held_out[task, number]
            each.append(task_scores(probabilities, marks))
            assert fold[task] == pytest.approx({"n": len(marks), **each[-1]}, abs=1e-4)
        over_tasks.append({name: (each[0][name] + each[1][name]) / 2 for name in each[0]})
    for name in ("map", "accuracy", "basic_precision", "mrr", "log_loss"):
        values = [fold[name] for fold in over_tasks]
        mean = sum(values) / FOLDS
        deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (FOLDS - 1))
        assert scores["mean"][name] == pytest.approx(mean, abs=1e-4)
        assert scores["standard_deviation"][name] == pytest.approx(deviation, abs=1e-4)
    for task in TASKS:
        both = [held_out[task, number][:2] for number in range(1, FOLDS + 1)]
        together = task_scores(*map(np.concatenate, zip(*both)))
        assert scores["together"][task] == pytest.approx(together, abs=1e-4)


def test_the_file_is_scored_by_evaluate(work: Path, tmp_path: Path) -> None:
    labels = [("--labels", Path("data/train_valid") / task) for task in TASKS]
    arguments = ["--predictions", work / "out_of_fold.csv", *labels[0], *labels[1]]
    assert fashionai("evaluate", *arguments, "--json", tmp_path / "scores.json") == 0
    evaluated = json.loads((tmp_path / "scores.json").read_text())["tasks"]
    together = json.loads((work / "scores.json").read_text())["together"]
    for task in TASKS:
        for name in ("accuracy", "mrr", "log_loss"):
            assert evaluated[task][name] == pytest.approx(together[task][name], abs=1e-4)


def test_the_report_shows_out_of_fold_predictions(
    work: Path, held_out: HeldOut, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = rows_of_folds(work)
    assert [each.task.name for each in found] == list(TASKS)
    for rows in found:
        folds = [held_out[rows.task.name, number] for number in range(1, FOLDS + 1)]
        names = [name for *_, images in folds for name in images]
        assert [Path(image).name for image in rows.images] == [Path(name).name for name in names]
        assert all(file.name == Path(image).name for file, image in zip(rows.files, rows.images))
        probabilities, marks, _ = zip(*folds)
        np.testing.assert_allclose(rows.probabilities, np.concatenate(probabilities), atol=2e-6)
        np.testing.assert_array_equal(rows.marks, np.concatenate(marks))
    assert fashionai("report", work, "--out", tmp_path / "report.html") == 0
    images = sum(len(rows.images) for rows in found)
    assert f"report.html: 1 run, 2 tasks, {images} images" in capsys.readouterr().out
    assert_explained_by_its_fold(work, found[0], tmp_path / "report.html")
    assert fashionai("report", work, "--split", "val", "--out", tmp_path / "report.html") == 2
    assert "is a cross-validation, which has out-of-fold" in capsys.readouterr().err


def assert_explained_by_its_fold(work: Path, rows: LabelledPredictions, page: Path) -> None:
    """The overlays of the worst mistakes are those of the run that has not seen the image."""
    data = json.loads(re.search('id="data">(.*?)</script>', page.read_text())[1])[0]
    (run,) = data["runs"]
    assert all(run["overlays"])
    fold_of = {(row["task"], row["file"]): row["fold"] for row in table(work / "folds.csv")}
    at_image = {Path(image).name: at for at, image in enumerate(rows.images)}
    for mistake, overlays in zip(run["mistakes"], run["overlays"]):
        at = at_image[data["name"][mistake]]
        number = fold_of[rows.task.name, rows.files[at].name]
        fold, every = Run(RunFolder(work / f"fold-{number}")), len(rows.task.classes)
        (explained,) = explain(fold, [rows.files[at]], top=every)
        heat = {e.class_index: e.heat for e in explained.classes if e.task == rows.task}
        expected = [run["predicted"][mistake], data["truth"][mistake]]
        assert [index for index, _ in overlays] == expected
        for index, picture in overlays:
            assert picture == encoded(overlay(explained.image, heat[index])[..., ::-1])


def test_what_is_printed_fits_a_terminal_and_is_what_is_written(work: Path) -> None:
    lines = Path("stdout.txt").read_text().splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[0] == "cross-validation -> runs/both"
    assert [line for line in lines if line.startswith("fold ")][:3] == [
        *("fold 1 of 3", "fold 2 of 3", "fold 3 of 3"),
    ]
    assert [line.partition(" for ")[2] for line in lines if "remaining" in line] == [
        *("the remaining 2 folds", "the remaining 1 fold"),
    ]
    scores = json.loads((work / "scores.json").read_text())
    at = next(i for i, line in enumerate(lines) if line.split()[:3] == ["fold", "N", "mAP"])
    sizes = Counter(folds_of(work).values())
    for number, line in enumerate(lines[at + 1 : at + 4], start=1):
        assert line.split()[:2] == [str(number), str(sizes[number])]
    assert lines[at + 4].split()[:3] == ["mean", "77", f"{scores['mean']['map']:.4f}"]
    assert lines[at + 5].split()[:2] == ["std", f"{scores['standard_deviation']['map']:.4f}"]
    assert lines[at + 6].startswith("runs/both/out_of_fold.csv: 77 images")


def test_predict_averages_the_folds(work: Path, tmp_path: Path) -> None:
    arguments = ["--run", work, "--crops", "1", "--out", tmp_path / "answers.csv"]
    assert fashionai("predict", *arguments) == 0
    predicted = read_predictions(tmp_path / "answers.csv")
    assert len(predicted) == 12
    paths = [Path("data/rank") / row.image for row in predicted]
    runs = [Run.open(work / f"fold-{number}") for number in range(1, FOLDS + 1)]
    single = [predict_images(paths, [run], [mx.cpu()], crops=1) for run in runs]
    for at, row in enumerate(predicted):
        mean = sum(answers[row.task][at] for answers in single) / FOLDS
        np.testing.assert_allclose(row.probabilities, mean, atol=2e-6)


def test_a_fold_named_beside_its_parent_counts_once(work: Path, tmp_path: Path) -> None:
    files = [tmp_path / "parent.csv", tmp_path / "both.csv"]
    for file, more in zip(files, ([], ["--run", (work / "fold-2").resolve()])):
        arguments = ["--run", work, *more, "--crops", "1", "--out", file]
        assert fashionai("predict", *arguments) == 0
    assert files[0].read_bytes() == files[1].read_bytes()


def test_splits_of_a_parent(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The test split is nobody's fold. Of the others each row was trained on by other folds."""
    arguments = ["--run", work, "--crops", "1", "--out", tmp_path / "split.csv"]
    for split in ("train", "val"):
        assert fashionai("predict", *arguments, "--split", split) == 2
        assert capsys.readouterr().err == (
            "Error: runs/both/fold-1 and runs/both/fold-2 were trained on different images "
            "(data.fold). Predict the test split, or one run: "
            f"--run runs/both/fold-1 --split {split}\n"
        )
    assert not (tmp_path / "split.csv").exists()
    folds = [
        shutil.copytree(work / f"fold-{number}", f"runs/of both/{number}") for number in (1, 2)
    ]
    named = [argument for fold in folds for argument in ("--run", fold)]
    assert fashionai("predict", *named, "--out", tmp_path / "split.csv", "--split", "val") == 2
    assert capsys.readouterr().err.endswith("--run 'runs/of both/1' --split val\n")
    shutil.rmtree("runs/of both")
    assert fashionai("predict", *arguments, "--split", "test") == 0
    assert len(read_predictions(tmp_path / "split.csv")) == 12
    # One fold under two names, and its folder written in another way.
    again = Path(shutil.copytree(work / "fold-2", "runs/again"))
    moved = {"data.folder": str(Path("data/train_valid").resolve())}
    save_config(Run.open(again).config.changed(moved), again / "config.yaml")
    both = ["--run", work / "fold-2", "--run", again, *arguments[2:]]
    assert fashionai("predict", *both, "--split", "val") == 0
    arguments[1] = work / "fold-2"
    assert fashionai("predict", *arguments, "--split", "val") == 0
    own = [key for key, fold in folds_of(work).items() if fold == 2]
    assert len(read_predictions(tmp_path / "split.csv")) == len(own)


def test_a_run_is_calibrated_on_out_of_fold_predictions(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One temperature per task of all images, each predicted by the run that has not seen it."""
    folds, run = (
        Path(shutil.copytree(source, f"runs/{name}"))
        for source, name in ((work, "mistaken"), (work / "fold-1", "calibrated"))
    )
    # All predictions are correct: every fifth one gets the probabilities of other classes.
    predicted = read_predictions(folds / "out_of_fold.csv")
    predicted = [
        row._replace(probabilities=np.roll(row.probabilities, number % 5 == 0))
        for number, row in enumerate(predicted)
    ]
    write_predictions(folds / "out_of_fold.csv", predicted, probability_format(predicted[0].task))
    assert fashionai("calibrate", run, "--folds", folds) == 0
    printed = capsys.readouterr()
    assert "predict --run runs/calibrated --calibrated --crops 5" in printed.out
    # Out-of-fold predictions cannot be had from more images.
    told = "".join(printed)
    assert "images, which tells little" in told
    assert "(--folds)" not in told
    assert "trained otherwise" not in told
    content = json.loads((run / "calibration.json").read_text())
    assert content["crops"] == 5
    for task in TASKS:
        prepared, entry = split_of(task), content["tasks"][task]
        name_of = {Path(each).name: row for row, each in enumerate(prepared.sources)}
        rows = [row for row in predicted if row.task.name == task]
        order = [name_of[Path(row.image).name] for row in rows]
        marks = prepared.marks[order]
        assert entry["images"] == len(rows) == len(prepared.sources)

        def loss(temperature: float, rows: list = rows, marks: np.ndarray = marks) -> float:
            powers = np.array([row.probabilities for row in rows]) ** (1 / temperature)
            return task_scores(powers / powers.sum(axis=1, keepdims=True), marks)["log_loss"]

        found = entry["temperature"]
        assert entry["before"]["log_loss"] == pytest.approx(loss(1.0))
        assert entry["after"]["log_loss"] == pytest.approx(loss(found), abs=1e-6)
        assert loss(found) <= min(loss(found * 0.98), loss(found * 1.02))
    # A run of the same classes under another name.
    classes = (run / "classes.json").read_text()
    (run / "classes.json").write_text(classes.replace(TASKS[0], "lengths"))
    assert fashionai("calibrate", run, "--folds", folds) == 0
    renamed = json.loads((run / "calibration.json").read_text())["tasks"]
    assert renamed["lengths"] == content["tasks"][TASKS[0]]
    assert "predict --run runs/calibrated --calibrated --crops 5" in capsys.readouterr().out
    (run / "classes.json").write_text(classes)
    save_config(Run.open(run).config.changed({"optimizer.lr": 0.5}), run / "config.yaml")
    assert fashionai("calibrate", run, "--folds", folds) == 0
    told = capsys.readouterr().err
    assert "runs/calibrated: was trained otherwise than runs/mistaken (optimizer.lr: 0.5, not " in (
        told
    )


def test_folds_of_other_crops_are_refused(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fashionai("calibrate", work / "fold-1", "--folds", work, "--crops", 1) == 2
    assert "--crops and --folds exclude each other" in capsys.readouterr().err
    assert fashionai("calibrate", work / "fold-1", "--folds", work / "fold-1") == 2
    assert "not a cross-validation" in capsys.readouterr().err
