"""Tables: the numbers they say, within 80 columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fashionai.config import Config, save_config
from fashionai.families import expand_tasks, known_tasks
from fashionai.files import write_json
from fashionai.metrics import marks_from_classes, roc_auc
from fashionai.reporting.tables import (
    SCORE_COLUMNS,
    WIDTH,
    balance_table,
    class_table,
    confusion_table,
    run_table,
    score_table,
    task_lines,
    with_intervals,
)
from fashionai.runs import Run, create_run, find_cross_validations, find_sound_runs
from fashionai.tasks import Task, tasks_to_json
from tests.support.data_trees import put


def test_the_tables_show_that_a_classifier_predicts_one_class_alone() -> None:
    """80 of 100 rows are of class 2, and every row is answered so."""
    truth = np.repeat([0, 1, 2], [15, 5, 80])
    probabilities = np.tile([0.2, 0.1, 0.7], (100, 1))
    matrix = np.zeros((3, 3), np.int64)
    matrix[:, 2] = [15, 5, 80]
    area = roc_auc(probabilities, marks_from_classes(truth, 3))
    lines = balance_table([("logos", matrix, {"roc_auc": area}, {})]).splitlines()
    assert lines[0].split() == ["task", "accuracy", "majority", "balanced", "ROC", "AUC"]
    assert lines[1].split() == ["logos", "0.8000", "0.8000", "0.3333", "0.5000"]
    lines = class_table(matrix, ("adidas", "aldi", "no-logo")).splitlines()
    assert lines[1].split() == ["adidas", "15", "0", "0.0000", "-"]
    assert lines[3].split() == ["no-logo", "80", "100", "1.0000", "0.8000"]


def test_long_names_stay_within_the_terminal() -> None:
    matrix = np.array([[1234567, 0], [0, 1]])
    for line in class_table(matrix, ("a" * 100, "b")).splitlines():
        assert len(line) <= WIDTH


def test_many_classes_have_their_confused_pairs_in_place_of_a_matrix() -> None:
    classes = [f"class {index:02d}" for index in range(33)]
    matrix = np.diag(np.arange(33))
    matrix[3, 7], matrix[7, 3], matrix[1, 32] = 2, 12, 5
    lines = confusion_table(matrix, classes).splitlines()
    assert [line.split() for line in lines] == [
        ["true", "/", "predicted", "N"],
        ["class", "07", "/", "class", "03", "12"],
        ["class", "01", "/", "class", "32", "5"],
        ["class", "03", "/", "class", "07", "2"],
    ]
    few = confusion_table(matrix[:3, :3], classes[:3]).splitlines()
    assert [line.split()[-3:] for line in few[1:]] == [[*"000"], [*"010"], [*"002"]]
    assert all(len(line) <= WIDTH for line in lines + few)


def make_run(folder: Path, name: str, tasks: list[str], score: float, finished: bool) -> Run:
    run = create_run(folder / name)
    save_config(Config(task=tasks), run.config_file)
    write_json(run.classes_file, tasks_to_json(expand_tasks(tasks)))
    best = {"map": score, "accuracy": 0.5}
    write_json(run.metrics_file, {"finished": finished, "epochs": 7, "best": best, "tasks": {}})
    return Run(run)


def test_runs_are_listed_by_task_and_score(tmp_path: Path) -> None:
    """A run without a finished epoch has no scores yet, and one that was just made no classes."""
    stopped = make_run(tmp_path, "stopped", ["skirt"], 0, finished=False)
    stopped.folder.metrics_file.unlink()
    runs = [
        Run(create_run(tmp_path / "begun")),
        stopped,
        make_run(tmp_path, "a", ["skirt"], 0.7, finished=False),
        make_run(tmp_path, "b", ["skirt"], 0.9, finished=True),
        make_run(tmp_path, "c", ["coat"], 0.1, finished=True),
        make_run(tmp_path, "d", ["skirt", "coat", "pant", "neck"], 0.8, finished=True),
    ]
    lines = run_table(runs).splitlines()
    names = [Path(line.split()[0]).name for line in lines[1:-1]]
    assert names == ["c", "b", "a", "stopped", "d", "begun"]
    assert lines[1].split()[1:] == ["coat", "7*", "0.1000", "0.5000"]
    assert lines[5].split()[1:] == ["4", "tasks", "7*", "0.8000", "0.5000"]
    assert lines[3].split()[1:] == ["skirt", "7", "of", "40", "0.7000", "0.5000"]
    assert lines[4].split()[1:] == ["skirt", "0", "of", "40", "-", "-"]
    assert lines[6].split()[1:] == ["?", "0", "of", "?", "-", "-"]


def test_cross_validations_are_listed_among_the_runs_of_their_task(tmp_path: Path) -> None:
    """With the mean of their folds, whose folders are not runs of the list themselves."""
    run = make_run(tmp_path, "one", ["skirt"], 0.7, finished=True)
    for name, finished in (("whole", [True, True]), ("part", [True, False]), ("new", [])):
        put(tmp_path / name / "cross_validation.yaml", "folds: 2\n")
        for number, is_finished in enumerate(finished, start=1):
            make_run(tmp_path / name, f"fold-{number}", ["skirt"], 0.7, is_finished)
    put(tmp_path / "whole/scores.json", '{"mean": {"map": 0.8, "accuracy": 0.6, "roc_auc": null}}')
    put(tmp_path / "bad/cross_validation.yaml", "folds: many\n")
    found = find_cross_validations(tmp_path)
    lines = run_table(find_sound_runs(tmp_path), found).splitlines()
    rows = [(Path(name).name, *cells) for name, *cells in (line.split() for line in lines[1:-1])]
    assert rows == [
        ("whole", "skirt", "2", "folds*", "0.8000", "0.6000"),
        ("one", "skirt", "7*", "0.7000", "0.5000"),
        ("part", "skirt", "1", "of", "2", "folds", "-", "-"),
        ("new", "?", "0", "of", "2", "folds", "-", "-"),
    ]
    assert find_sound_runs(tmp_path) == [run]


def test_intervals_lie_below_their_scores() -> None:
    """The accuracy of a matrix that a threshold has changed has none."""
    names = [name for name, _, _ in SCORE_COLUMNS]
    scores, intervals = dict.fromkeys(names, 0.5), dict.fromkeys(names, (0.4, 0.6))
    lines = score_table(with_intervals(("skirt", 10, scores), intervals)).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["skirt", "10", *["0.5000"] * 5],
        ["95", "%", "from", *["0.4000"] * 5],
        ["to", *["0.6000"] * 5],
    ]
    assert with_intervals(("skirt", 10, scores), {}) == [("skirt", 10, scores)]
    matrix = np.array([[1, 1], [1, 1]])
    intervals.update(balanced_accuracy=(0.3, 0.7), roc_auc=(0.2, 0.8))
    row = ("skirt", matrix, {"accuracy": 0.5, "roc_auc": 0.5}, intervals)
    low = balance_table([row]).splitlines()[2]
    assert low.split() == ["95", "%", "from", "0.4000", "0.3000", "0.2000"]
    changed = ("skirt", np.array([[2, 0], [1, 1]]), *row[2:])
    assert balance_table([changed]).splitlines()[2].split() == ["95", "%", "from", "0.2000"]


@pytest.mark.parametrize("task", known_tasks(), ids=lambda task: task.short_name)
def test_every_class_of_a_task_is_printed_within_80_columns(task: Task) -> None:
    first, *rest = task_lines(task, "prepared")
    assert first.endswith(f": {len(task.classes)} classes, prepared")
    assert " ".join(line.strip() for line in rest).split(", ") == list(task.classes)
    assert all(len(line) <= WIDTH for line in (first, *rest))
