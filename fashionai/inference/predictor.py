"""Image files through one or more runs to probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fashionai.errors import ConfigError, RunError, TrainingError
from fashionai.inference.engines import gluon_engine
from fashionai.pipeline.augment import EvaluationTransform
from fashionai.pipeline.crops import CROP_COUNTS
from fashionai.pipeline.loader import Loader
from fashionai.runs import RunFolder
from fashionai.tasks import Task


def predict_images(
    paths: Sequence[Path],
    task: Task,
    runs: Sequence[RunFolder],
    contexts: list[Any],
    *,
    crops: int = 10,
    batch_size: int = 16,
    progress: Callable[[int], None] = lambda done: None,
) -> np.ndarray:
    """Probabilities ``(N, C) float64`` of image files, averaged over crops and runs.

    ``crops`` is 1, 5 or 10 views an image, ``batch_size`` counts images on each
    device, and ``progress`` is called with the number of images done since the
    last call (once for every run). Raises RunError when a run is of another
    task, DataError for an image that cannot be decoded.
    """
    if crops not in CROP_COUNTS:
        raise ConfigError(f"crops: found {crops}, expected one of {CROP_COUNTS}")
    for run in runs:
        check_task(run, task)
    results = [
        _predict_with_run(paths, task, run, contexts, crops, batch_size, progress) for run in runs
    ]
    return np.mean(results, axis=0)


def check_task(run: RunFolder, task: Task) -> None:
    """RunError unless the run has weights and was trained for that task and its classes."""
    run.check_usable()
    trained = run.read_task()
    if trained.classes != task.classes:
        raise RunError(f"{run}: was trained for {trained.name}, expected {task.name}")


def _predict_with_run(
    paths: Sequence[Path],
    task: Task,
    run: RunFolder,
    contexts: list[Any],
    crops: int,
    batch_size: int,
    progress: Callable[[int], None],
) -> np.ndarray:
    engine = gluon_engine(run, task, contexts)
    data = run.read_config().data
    rows_per_batch = batch_size * len(contexts)
    loader = Loader(paths, EvaluationTransform(data, crops), rows_per_batch, workers=data.workers)

    def batches() -> Iterator[np.ndarray]:
        for batch in loader.batches(np.arange(len(paths))):
            yield batch.images
            # Asked for the next one, the engine has computed this one.
            progress(len(batch.rows))

    probabilities = engine.probabilities(batches(), rows_per_batch)
    if not np.isfinite(probabilities).all():
        row = int(np.argmin(np.isfinite(probabilities).all(axis=1)))
        raise TrainingError(
            f"{run}: its network gives {paths[row]} a probability that is not a number",
            "The weights are damaged or the training diverged",
        )
    return probabilities
