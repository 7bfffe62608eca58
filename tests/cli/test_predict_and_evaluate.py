"""predict and evaluate as a user runs them."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from fashionai.families import find_task
from fashionai.predictions.formats import read_predictions
from fashionai.tasks import tasks_to_json
from tests.support.commands import fashionai, run_cli, run_here

QUESTIONS = "data/rank/Tests/question.csv"


def rows(path: Path) -> list[list[str]]:
    with open(path, newline="") as handle:
        return list(csv.reader(handle))


@pytest.fixture(scope="module")
def submission(trained: Path) -> Path:
    done = run_cli("predict", "--out", "submission.csv", cwd=trained)
    assert done.returncode == 0, done.stderr
    assert "skirt_length_labels: runs/skirt (validation mAP " in done.stdout
    assert "submission.csv: 18 rows" in done.stdout
    return trained / "submission.csv"


def test_rows_and_order_are_those_of_the_question_file(trained: Path, submission: Path) -> None:
    asked, answered = rows(trained / QUESTIONS), rows(submission)
    assert [row[:2] for row in answered] == [row[:2] for row in asked]
    for _, _, numbers in answered:
        values = numbers.split(";")
        assert len(values) == 6
        assert all(len(value.partition(".")[2]) == 8 for value in values)
        assert sum(map(float, values)) == pytest.approx(1, abs=1e-6)


def test_evaluate_counts_what_a_spreadsheet_would(trained: Path, submission: Path) -> None:
    arguments = ["--predictions", submission, "--labels", "data/answers.csv"]
    done = run_here("evaluate", *arguments, "--json", "scores.json", "--confusion", cwd=trained)
    assert done.returncode == 0, done.stderr
    right = 0
    for (_, _, numbers), (_, _, label) in zip(rows(submission), rows(trained / "data/answers.csv")):
        values = [float(value) for value in numbers.split(";")]
        right += label[values.index(max(values))] == "y"
    scores = json.loads((trained / "scores.json").read_text())
    assert scores["accuracy"] == pytest.approx(right / 18)
    assert scores["tasks"]["skirt_length_labels"]["n"] == 18
    assert scores["map"] == scores["tasks"]["skirt_length_labels"]["map"]
    assert {"basic_precision", "mrr", "log_loss"} <= scores.keys()
    assert "5 Floor" in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_rows_of_several_tasks_keep_their_order(trained: Path, tmp_path: Path) -> None:
    """Rows of two tasks alternate, and each goes through its own run."""
    pant = "pant_length_labels"
    for part in ("base", "rank"):
        source = trained / "data" / part / "Images/skirt_length_labels"
        shutil.copytree(source, tmp_path / "data" / part / "Images/skirt_length_labels")
        shutil.copytree(source, tmp_path / "data" / part / "Images" / pant)
    mixed = []
    for image, task, _ in rows(trained / QUESTIONS):
        mixed += [[image, task, ""], [image.replace(task, pant), pant, ""]]
    question = tmp_path / QUESTIONS
    question.parent.mkdir(parents=True)
    question.write_text("".join(",".join(row) + "\n" for row in mixed))
    shutil.copytree(trained / "runs", tmp_path / "runs")
    shutil.copytree(trained / "runs/skirt", tmp_path / "runs/pant")
    config = tmp_path / "runs/pant/config.yaml"
    config.write_text(config.read_text().replace("skirt", "pant"))
    classes = json.dumps(tasks_to_json([find_task("pant")]))
    (tmp_path / "runs/pant/classes.json").write_text(classes)
    done = run_here("predict", "--out", "both.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [row[:2] for row in rows(tmp_path / "both.csv")] == [row[:2] for row in mixed]
    only = run_here("predict", "--out", "one.csv", "--task", "pant", cwd=tmp_path)
    assert only.returncode == 0, only.stderr
    chosen = [row for row in rows(tmp_path / "both.csv") if row[1] == pant]
    assert rows(tmp_path / "one.csv") == chosen


def test_a_task_without_a_run_stops_before_anything_is_computed(
    trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained / "data", tmp_path / "data")
    done = run_here("predict", "--out", "none.csv", cwd=tmp_path)
    assert done.returncode == 2
    assert "no finished run of skirt_length_labels" in done.stderr
    assert not (tmp_path / "none.csv").exists()


def test_a_prepared_task_that_is_damaged_stops_no_work_with_others(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    damaged = tmp_path / "data/train_valid/broken/task.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{")
    images = trained / "data/rank/Images/skirt_length_labels"
    arguments = ["--run", trained / "runs/skirt", "--questions", images, "--crops", "1"]
    assert fashionai("predict", *arguments, "--out", "all.csv") == 0
    assert fashionai("predict", *arguments, "--task", "skirt", "--out", "skirts.csv") == 0
    assert Path("all.csv").read_bytes() == Path("skirts.csv").read_bytes()
    folder = tmp_path / "data/train_valid"
    (folder / "skirt_length_labels").symlink_to(trained / "data/train_valid/skirt_length_labels")
    assert fashionai("init", "skirt", "model.name=small_cnn", "model.pretrained=false") == 0


def test_the_best_finished_run_is_taken_and_unfinished_ones_are_not(
    trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained / "data", tmp_path / "data")
    for name, score, finished in (("a", 0.5, True), ("b", 0.9, True), ("c", 0.99, False)):
        run = tmp_path / "runs" / name
        shutil.copytree(trained / "runs/skirt", run)
        metrics = json.loads((run / "metrics.json").read_text())
        metrics["tasks"]["skirt_length_labels"]["map"] = score
        metrics["finished"] = finished
        (run / "metrics.json").write_text(json.dumps(metrics))
    done = run_here("predict", "--out", "best.csv", "--crops", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "skirt_length_labels: runs/b (validation mAP 0.9000" in done.stdout


def test_a_prepared_split_is_predicted_and_evaluated(trained: Path) -> None:
    run = ["--run", "runs/skirt", "--split", "val"]
    done = run_here("predict", "--out", "val.csv", *run, cwd=trained)
    assert done.returncode == 0, done.stderr
    predicted = read_predictions(trained / "val.csv")
    labels = {row[0]: row[2] for row in rows(trained / "data/base/Annotations/label.csv")}
    right = sum(labels[row.image][int(row.probabilities.argmax())] == "y" for row in predicted)
    done = run_here("evaluate", *run, "--json", "val.json", cwd=trained)
    assert done.returncode == 0, done.stderr
    scores = json.loads((trained / "val.json").read_text())
    assert scores["accuracy"] == pytest.approx(right / len(predicted))
    assert scores["n"] == len(predicted) == 12


def test_a_damaged_test_image_ends_prediction_without_a_prediction_file(
    trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained / "data", tmp_path / "data")
    shutil.copytree(trained / "runs", tmp_path / "runs")
    image = tmp_path / "data/rank" / rows(trained / QUESTIONS)[5][0]
    image.write_bytes(image.read_bytes()[:200])
    done = run_here("predict", "--out", "damaged.csv", cwd=tmp_path)
    assert done.returncode == 2
    assert image.name in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "damaged.csv").exists()


def test_all_damaged_images_are_named_before_anything_is_computed(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --skip-bad the others are predicted as they are alone, in the order of the file."""
    shutil.copytree(trained / "data/rank", tmp_path / "data/rank")
    shutil.copytree(trained / "runs", tmp_path / "runs")
    asked = rows(trained / QUESTIONS)
    bad = [tmp_path / "data/rank" / asked[at][0] for at in (3, 11, 17)]
    for image in bad:
        image.write_bytes(image.read_bytes()[:200])
    done = run_here("predict", "--engine", "onnx", "--out", "p.csv", cwd=tmp_path)
    assert done.returncode == 2
    assert f"Error: 3 of {len(asked)} images cannot be used\n" in done.stderr
    assert all(f"{image.relative_to(tmp_path)}: cannot be used: " in done.stderr for image in bad)
    assert not (tmp_path / "p.csv").exists()

    done = run_here("predict", "--skip-bad", "--crops", "1", "--out", "p.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    left_out = [line for line in done.stderr.splitlines() if line.startswith("left out: ")]
    assert len(left_out) == 3
    whole = run_here("predict", "--crops", "1", "--out", tmp_path / "whole.csv", cwd=trained)
    assert whole.returncode == 0, whole.stderr
    expected = [row for at, row in enumerate(rows(tmp_path / "whole.csv")) if at not in (3, 11, 17)]
    found = rows(tmp_path / "p.csv")
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    for row, other in zip(found, expected):
        values, others = ([float(p) for p in each[2].split(";")] for each in (row, other))
        assert values == pytest.approx(others, abs=1e-5)


def test_prepared_images_are_not_opened_twice(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    monkeypatch.setattr("fashionai.predictions.soundness.find_damage", None)
    options = ["--run", "runs/skirt", "--crops", "1", "--split", "val"]
    assert fashionai("predict", *options, "--out", tmp_path / "val.csv") == 0
    assert fashionai("evaluate", *options) == 0
