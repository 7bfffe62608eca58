"""Scores of a prediction file against labels, or of runs on a prepared split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from fashionai.datasets.fashionai_csv import read_rows
from fashionai.errors import DataError
from fashionai.inference.joining import join_rows, match_rows
from fashionai.inference.labels import LabelledRow, all_labels_of, read_labels
from fashionai.inference.submissions import PredictedRow, read_predictions, task_in_file
from fashionai.metrics import confusion_matrix, overall_scores, task_scores
from fashionai.tasks import Task, expand_tasks


class TaskEvaluation(NamedTuple):
    """Scores and confusion matrix ``(C, C)`` of one task over N rows."""

    task: Task
    rows: int
    scores: dict[str, float]
    confusion: np.ndarray


def evaluate_task(task: Task, probabilities: np.ndarray, marks: np.ndarray) -> TaskEvaluation:
    """Score one task; see fashionai.metrics for the arrays."""
    return TaskEvaluation(
        task, len(marks), task_scores(probabilities, marks), confusion_matrix(probabilities, marks)
    )


def evaluate_file(
    predictions: Path,
    labels: Sequence[Path],
    questions: Optional[Path] = None,
    task_names: Sequence[str] = (),
) -> list[TaskEvaluation]:
    """Score a prediction file, task by task in the order of its rows.

    ``labels`` are as for read_labels. Every row of a label file must be
    predicted; of a prepared folder, every row of the splits that the file has
    rows of. ``questions`` restricts the labels to the rows that were asked,
    ``task_names`` both sides to some tasks. Raises DataError when rows are missing,
    extra, double or malformed.
    """
    names = str(predictions), ", ".join(map(str, labels))
    predicted, labelled = read_predictions(predictions), read_labels(labels)
    answers = list(labelled.values())
    tasks = expand_tasks(task_names, list({row.task: None for row in answers}))
    if tasks:
        in_files = [task_in_file(task) for task in tasks]
        predicted = [row for row in predicted if row.task in in_files]
        answers = [row for row in answers if row.task in tasks]
    if not predicted:
        raise DataError(f"{predictions}: no rows of {', '.join(task.name for task in tasks)}")
    if questions is not None:
        asked = {(row.image, row.task.name) for row in read_rows(questions)}
        answers = [row for row in answers if row.key in asked]
    if not predicted[0].task.name:
        # A table holds one task: others that the labels have are not missing from it.
        same = [row for row in answers if task_in_file(row.task) == predicted[0].task]
        answers = same or answers
    _check_same_tasks(predicted, answers, names)
    answers = _of_predicted_splits(answers, predicted)
    match_rows([row.key for row in predicted], [row.key for row in answers], names)
    evaluations = []
    for part in join_rows([predicted]):
        truth = all_labels_of(part.task, part.images, labelled, names)
        evaluations.append(evaluate_task(truth.task, part.probabilities[0], truth.marks))
    return evaluations


def to_json(evaluations: Sequence[TaskEvaluation]) -> dict[str, object]:
    """Mean scores at the top level, and those of every task with its number of rows."""
    overall = overall_scores([evaluation.scores for evaluation in evaluations])
    tasks = {e.task.name: {"n": e.rows, **e.scores} for e in evaluations}
    return {**overall, "n": sum(e.rows for e in evaluations), "tasks": tasks}


def _check_same_tasks(
    predicted: Sequence[PredictedRow], answers: Sequence[LabelledRow], names: tuple[str, str]
) -> None:
    """DataError where some tasks of the labels are predicted and others are not."""
    in_predictions = {row.task for row in predicted}
    in_labels = list(dict.fromkeys(row.task for row in answers))
    unpredicted = [task for task in in_labels if task_in_file(task) not in in_predictions]
    common = [task for task in in_labels if task not in unpredicted]
    if unpredicted and common:
        raise DataError(
            f"{names[0]}: has no rows of {', '.join(task.name for task in unpredicted)}, "
            f"which {names[1]} has",
            f"Give --task {common[0].short_name} to score some tasks alone",
        )


def _of_predicted_splits(
    answers: Sequence[LabelledRow], predicted: Sequence[PredictedRow]
) -> list[LabelledRow]:
    """Rows of label files, and of those splits of prepared folders that have predicted rows."""
    keys = {row.key for row in predicted}
    splits = {(row.task, row.split) for row in answers if row.key in keys}
    return [row for row in answers if not row.split or (row.task, row.split) in splits]
