"""Runs on the splits they were prepared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fashionai.datasets.training_rows import Rows, read_rows
from fashionai.inference.evaluation import TaskEvaluation, evaluate_task
from fashionai.inference.predictor import Question, predict
from fashionai.inference.submissions import as_written
from fashionai.runs import RunFolder


def evaluate_run(
    run: RunFolder, split: str, contexts: list[Any], **options: Any
) -> list[TaskEvaluation]:
    """Score one run on a split of its prepared folders, task by task; options as for predict."""
    rows = read_rows(run.read_config(), split)
    return evaluate_rows(rows, predict_rows(rows, run, contexts, **options))


def predict_rows(
    rows: Rows, run: RunFolder, contexts: list[Any], **options: Any
) -> list[np.ndarray]:
    """Probabilities of every task's rows, ``(N, C) float64`` each; options as for predict."""
    questions = [
        Question(task, [rows.paths[row] for row in rows.of_task(head)], [run])
        for head, task in enumerate(rows.tasks)
    ]
    return predict(questions, contexts, **options)


def evaluate_rows(rows: Rows, answers: Sequence[np.ndarray]) -> list[TaskEvaluation]:
    """Score what predict_rows answered, as its prediction file would be scored."""
    return [
        evaluate_task(task, as_written(probabilities), rows.marks_of(head))
        for head, (task, probabilities) in enumerate(zip(rows.tasks, answers))
    ]
