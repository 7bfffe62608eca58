"""Scores of a run on a split of its prepared folders."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

from fashionai.datasets.prepared.samples import Samples, read_samples, warn_of_changed_data
from fashionai.datasets.prepared.shared_images import SHARED, count_shared
from fashionai.errors import ConfigError, FashionAIError, counted
from fashionai.families import expand_tasks
from fashionai.frameworks.processes import ALONE, Place
from fashionai.pipeline.crop_counts import DEFAULT_CROPS
from fashionai.predictions.decisions import check_threshold
from fashionai.predictions.formats import as_written
from fashionai.predictions.in_parts import compute_parts, describe, gather
from fashionai.predictions.parts import open_parts, parts_folder
from fashionai.predictions.predict import Request, predict
from fashionai.predictions.scaling import read_calibration
from fashionai.progress import ProgressBar, no_bar
from fashionai.runs import Run
from fashionai.scoring.evaluate import TaskEvaluation, evaluate_rows, true_labels
from fashionai.scoring.probabilities.calibrated import RunCalibration
from fashionai.scoring.rows.labelled_predictions import LabelledPredictions
from fashionai.scoring.thresholds import choose_threshold
from fashionai.tasks import Task

log = logging.getLogger(__name__)


def evaluate_run(
    run: Run,
    split: str,
    contexts: list[Any],
    threshold: Optional[float] = None,
    resamples: int = 0,
    progress: ProgressBar = no_bar,
    calibrated: bool = False,
    task_names: Sequence[str] = (),
    **options: Any,
) -> list[TaskEvaluation]:
    """Score a run on a split of its prepared folders, task by task.

    Only tasks in ``task_names`` are scored, where any are given; errors as for tasks_of_run.
    ``resamples`` is as for evaluate_task, and ``options`` are those of predict_together. Images of
    a held-out background are included only when there is a threshold, see evaluate_task.
    ``calibrated`` scores the probabilities after the run's calibration, with errors of
    read_calibration. Logs a warning when the folders have changed since the run was trained, and
    when the calibration was fitted on the split.
    """
    tasks = tasks_of_run(run, task_names)
    if threshold is not None:
        for task in tasks:
            check_threshold(task)
    calibration = RunCalibration.of(run, options.get("crops", DEFAULT_CROPS), calibrated)
    calibration.warn_of_fitted_split(split)
    background = threshold is not None
    names = [task.name for task in tasks]
    samples = read_samples(run.config, split, names, background=background)
    rows = rows_of_samples(run, samples, split, contexts, progress, **options)
    return [calibration.evaluate(each, threshold, resamples) for each in rows]


def tasks_of_run(run: Run, names: Sequence[str]) -> list[Task]:
    """The tasks of these names, or all; ConfigError for one that the run has not learnt."""
    tasks = expand_tasks(names, run.tasks) or list(run.tasks)
    unlearnt = [task.name for task in tasks if task not in run.tasks]
    if unlearnt:
        learnt = ", ".join(task.name for task in run.tasks)
        raise ConfigError(f"--task: {run} learnt {learnt}, not {', '.join(unlearnt)}")
    return tasks


def rows_of_split(
    run: Run,
    split: str,
    contexts: list[Any],
    background: bool = False,
    progress: ProgressBar = no_bar,
    **options: Any,
) -> list[LabelledPredictions]:
    """A run's predictions for a split of its prepared folders, by task; as for evaluate_run.

    Images of a held-out background are included only with ``background``.
    """
    samples = read_samples(run.config, split, background=background)
    return rows_of_samples(run, samples, split, contexts, progress, **options)


def rows_of_samples(
    run: Run,
    samples: Samples,
    split: str,
    contexts: list[Any],
    progress: ProgressBar = no_bar,
    **options: Any,
) -> list[LabelledPredictions]:
    """A run's predictions for samples of a split, by task; as for rows_of_split."""
    warn_of_changed_data(run)
    warn_of_shared_images(run, samples, split)
    with progress(f"{run}: {split}", len(samples.paths)) as advance:
        predicted = predict_together(samples, split, run, contexts, progress=advance, **options)
    return labelled_samples(samples, predicted)


def warn_of_shared_images(run: Run, samples: Samples, split: str) -> None:
    """Warn of images that the run was trained on for another of its tasks."""
    if split == "train" or len(run.tasks) == 1:
        return
    try:
        count = count_shared(read_samples(run.config, "train", pseudo=True), samples)
    except (FashionAIError, OSError):
        return  # the training images may be gone
    if count:
        log.warning(SHARED, f"{run}: {split}", count, counted(len(samples.paths), "image"))


def labelled_samples(
    samples: Samples, predicted: Sequence[np.ndarray]
) -> list[LabelledPredictions]:
    """The samples of each task with their probabilities, rounded as in a prediction file."""
    rows = [samples.of_task(head) for head in range(len(samples.tasks))]
    return [
        LabelledPredictions(
            task,
            [samples.sources[row] for row in rows[head]],
            [samples.paths[row] for row in rows[head]],
            samples.marks_of(head),
            as_written(probabilities),
        )
        for head, (task, probabilities) in enumerate(zip(samples.tasks, predicted))
    ]


def warn_of_chosen_threshold(split: str) -> None:
    """Warn if threshold_of_run has chosen the threshold on this split, which is scored with it."""
    if split == "val":
        log.warning(
            "the threshold was chosen on these images, so the figures at it are too good; those "
            "of other images say how good it is, for instance of --split test"
        )


def threshold_of_run(
    run: Run,
    contexts: list[Any],
    progress: ProgressBar = no_bar,
    calibrated: bool = False,
    task_names: Sequence[str] = (),
    **options: Any,
) -> float:
    """The threshold with the best accuracy on the run's validation split.

    ``calibrated``, ``task_names`` and ``options`` are as for evaluate_run. Raises ConfigError for
    several tasks and errors of choose_threshold.
    """
    tasks = tasks_of_run(run, task_names)
    if len(tasks) > 1:
        names = ", ".join(task.name for task in tasks)
        raise ConfigError(f"--threshold auto: {run} learnt {names}, expected one task")
    check_threshold(tasks[0])
    samples = read_samples(run.config, "val", [tasks[0].name], background=True)
    with progress(f"{run}: val", len(samples.paths)) as advance:
        (probabilities,) = predict_together(
            samples, "val", run, contexts, progress=advance, **options
        )
    if calibrated:
        calibration = read_calibration(run, options.get("crops", DEFAULT_CROPS))
        probabilities = calibration.of(tasks[0]).apply(probabilities)
    return choose_threshold(
        tasks[0], as_written(probabilities), true_labels(tasks[0], samples.marks)
    )


def predict_samples(
    samples: Samples, run: Run, contexts: list[Any], **options: Any
) -> list[np.ndarray]:
    """Probabilities ``(N, C) float64`` of the samples of each task; ``options`` as for predict."""
    return predict(_requests(samples, run), contexts, **options)


def predict_together(
    samples: Samples, split: str, run: Run, contexts: list[Any], **options: Any
) -> list[np.ndarray]:
    """As predict_samples, by the processes of a place; see predict_requests."""
    requests = _requests(samples, run)
    rows = [samples.of_task(head) for head in range(len(requests))]
    names = [[samples.sources[row] for row in own] for own in rows]
    return predict_requests(requests, names, run.path / split, contexts, **options)


def predict_requests(
    requests: Sequence[Request],
    names: Sequence[Sequence[str]],
    place_of_parts: Path,
    contexts: list[Any],
    place: Place = ALONE,
    **options: Any,
) -> list[np.ndarray]:
    """The probabilities of each request, by the processes of ``place``: each has all rows.

    Each computes a share. They exchange their shares in a hidden folder beside ``place_of_parts``.
    ``names`` are those of each request's rows.
    """
    if place.count == 1:
        return predict(requests, contexts, **options)
    settings = {key: options[key] for key in ("crops", "batch_size", "engine")}
    description = describe(requests, names, **settings)
    with open_parts(parts_folder(place_of_parts), description, place, discard=True) as parts:
        return gather(compute_parts(requests, contexts, parts, **options), parts)


def _requests(samples: Samples, run: Run) -> list[Request]:
    return [
        Request(task, [samples.paths[row] for row in samples.of_task(head)], [run])
        for head, task in enumerate(samples.tasks)
    ]


def evaluate_samples(
    samples: Samples,
    predicted: Sequence[np.ndarray],
    threshold: Optional[float] = None,
    resamples: int = 0,
) -> list[TaskEvaluation]:
    """Score the result of predict_samples exactly as its prediction file would be scored."""
    return evaluate_rows(labelled_samples(samples, predicted), threshold, resamples)
