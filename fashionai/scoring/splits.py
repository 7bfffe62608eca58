"""Runs on the splits they were prepared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from fashionai.datasets.prepared.samples import Samples, read_samples
from fashionai.errors import ConfigError
from fashionai.predictions.decisions import check_threshold
from fashionai.predictions.formats import as_written
from fashionai.predictions.predict import Question, predict
from fashionai.runs import Run
from fashionai.scoring.evaluate import TaskEvaluation, evaluate_task, true_labels
from fashionai.scoring.thresholds import choose_threshold


def evaluate_run(
    run: Run,
    split: str,
    contexts: list[Any],
    threshold: Optional[float] = None,
    **options: Any,
) -> list[TaskEvaluation]:
    """Score one run on a split of its prepared folders, task by task; options as for predict.

    Images of a held-out background are predicted with a threshold alone, see evaluate_task.
    """
    if threshold is not None:
        for task in run.tasks:
            check_threshold(task)
    rows = read_samples(run.config, split, background=threshold is not None)
    return evaluate_rows(rows, predict_rows(rows, run, contexts, **options), threshold)


def threshold_of_run(run: Run, contexts: list[Any], **options: Any) -> float:
    """The threshold of the best accuracy on the run's validation split; options as for predict.

    Raises ConfigError for a run of several tasks, errors of choose_threshold otherwise.
    """
    tasks = run.tasks
    if len(tasks) > 1:
        names = ", ".join(task.name for task in tasks)
        raise ConfigError(f"--threshold auto: {run} learnt {names}, expected one task")
    check_threshold(tasks[0])
    rows = read_samples(run.config, "val", background=True)
    (probabilities,) = predict_rows(rows, run, contexts, **options)
    return choose_threshold(tasks[0], as_written(probabilities), true_labels(tasks[0], rows.marks))


def predict_rows(rows: Samples, run: Run, contexts: list[Any], **options: Any) -> list[np.ndarray]:
    """Probabilities of every task's rows, ``(N, C) float64`` each; options as for predict."""
    questions = [
        Question(task, [rows.paths[row] for row in rows.of_task(head)], [run])
        for head, task in enumerate(rows.tasks)
    ]
    return predict(questions, contexts, **options)


def evaluate_rows(
    rows: Samples, answers: Sequence[np.ndarray], threshold: Optional[float] = None
) -> list[TaskEvaluation]:
    """Score what predict_rows answered, as its prediction file would be scored."""
    return [
        evaluate_task(task, as_written(probabilities), rows.marks_of(head), threshold)
        for head, (task, probabilities) in enumerate(zip(rows.tasks, answers))
    ]
