"""Scores of a prediction file against labels, or of runs on a prepared split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from fashionai.datasets.fashionai_csv import Row, marks_of, read_answers, read_rows
from fashionai.errors import DataError
from fashionai.inference.submissions import match_rows, read_fashionai
from fashionai.metrics import confusion_matrix, overall_scores, task_scores
from fashionai.tasks import Task


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
    labels: Path,
    questions: Optional[Path] = None,
    tasks: Sequence[Task] = (),
) -> list[TaskEvaluation]:
    """Score a prediction file, task by task in the order of its rows.

    ``questions`` restricts the labels to the rows that were asked, ``tasks``
    both files to some tasks. Raises DataError when rows are missing, extra,
    double or malformed.
    """
    predicted = [row for row in read_fashionai(predictions) if not tasks or row.task in tasks]
    answers = [row for row in read_answers(labels) if not tasks or row.task in tasks]
    if not predicted:
        raise DataError(f"{predictions}: no rows of {', '.join(task.name for task in tasks)}")
    if questions is not None:
        asked = {_key(row) for row in read_rows(questions)}
        answers = [row for row in answers if _key(row) in asked]
    unpredicted = dict.fromkeys(answer.task for answer in answers)
    for row in predicted:
        unpredicted.pop(row.task, None)
    if unpredicted:
        raise DataError(
            f"{predictions}: has no rows of {', '.join(task.name for task in unpredicted)}, "
            f"which {labels} has",
            f"Give --task {predicted[0].task.short_name} to score some tasks alone",
        )
    positions = match_rows(
        [(row.image, row.task.name) for row in predicted],
        [_key(row) for row in answers],
        (str(predictions), str(labels)),
    )
    evaluations = []
    for task in dict.fromkeys(row.task for row in predicted):
        chosen = [(answer, at) for answer, at in zip(answers, positions) if answer.task == task]
        probabilities = np.stack([predicted[at].probabilities for _, at in chosen])
        evaluations.append(
            evaluate_task(task, probabilities, marks_of([answer for answer, _ in chosen]))
        )
    return evaluations


def to_json(evaluations: Sequence[TaskEvaluation]) -> dict[str, object]:
    """Mean scores at the top level, and those of every task with its number of rows."""
    overall = overall_scores([evaluation.scores for evaluation in evaluations])
    tasks = {e.task.name: {"n": e.rows, **e.scores} for e in evaluations}
    return {**overall, "n": sum(e.rows for e in evaluations), "tasks": tasks}


def _key(row: Row) -> tuple[str, str]:
    return row.image, row.task.name
