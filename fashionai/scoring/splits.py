"""Scores of a run on a split of its prepared folders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from fashionai.datasets.prepared.samples import Samples, read_samples, warn_of_changed_data
from fashionai.errors import ConfigError
from fashionai.predictions.decisions import check_threshold
from fashionai.predictions.formats import as_written
from fashionai.predictions.predict import Request, predict
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
    """Score a run on a split of its prepared folders, task by task.

    ``options`` are those of predict. Images of a held-out background are included only when
    there is a threshold, see evaluate_task. Logs a warning when the folders have changed since
    the run was trained.
    """
    if threshold is not None:
        for task in run.tasks:
            check_threshold(task)
    samples = read_samples(run.config, split, background=threshold is not None)
    warn_of_changed_data(run)
    return evaluate_samples(samples, predict_samples(samples, run, contexts, **options), threshold)


def threshold_of_run(run: Run, contexts: list[Any], **options: Any) -> float:
    """The threshold with the best accuracy on the run's validation split.

    ``options`` are those of predict. Raises ConfigError for a run of several tasks and
    errors of choose_threshold.
    """
    tasks = run.tasks
    if len(tasks) > 1:
        names = ", ".join(task.name for task in tasks)
        raise ConfigError(f"--threshold auto: {run} learnt {names}, expected one task")
    check_threshold(tasks[0])
    samples = read_samples(run.config, "val", background=True)
    (probabilities,) = predict_samples(samples, run, contexts, **options)
    return choose_threshold(
        tasks[0], as_written(probabilities), true_labels(tasks[0], samples.marks)
    )


def predict_samples(
    samples: Samples, run: Run, contexts: list[Any], **options: Any
) -> list[np.ndarray]:
    """Probabilities ``(N, C) float64`` of the samples of each task; ``options`` as for predict."""
    requests = [
        Request(task, [samples.paths[row] for row in samples.of_task(head)], [run])
        for head, task in enumerate(samples.tasks)
    ]
    return predict(requests, contexts, **options)


def evaluate_samples(
    samples: Samples, predicted: Sequence[np.ndarray], threshold: Optional[float] = None
) -> list[TaskEvaluation]:
    """Score the result of predict_samples exactly as its prediction file would be scored."""
    return [
        evaluate_task(task, as_written(probabilities), samples.marks_of(head), threshold)
        for head, (task, probabilities) in enumerate(zip(samples.tasks, predicted))
    ]
