"""Probabilities of images, averaged over crops and runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

import numpy as np

from fashionai.datasets.records import ImageList
from fashionai.engines.choice import open_chosen
from fashionai.engines.protocol import Engine
from fashionai.engines.registry import AUTO
from fashionai.errors import ConfigError, DataError, RunError, TrainingError
from fashionai.models.views import mean_over_views
from fashionai.pipeline.augment import EvaluationTransform
from fashionai.pipeline.crop_counts import CROP_COUNTS, DEFAULT_CROPS
from fashionai.pipeline.decode import ImageFile
from fashionai.pipeline.loader import Loader
from fashionai.predictions.scaling import Calibration
from fashionai.progress import Advance, no_progress
from fashionai.runs import Run
from fashionai.tasks import Task


class Request(NamedTuple):
    """Images to predict for one task, and the runs whose predictions are averaged.

    The probabilities of a run in ``calibrations`` are scaled before the runs are averaged.
    """

    task: Task
    images: Sequence[ImageFile]
    runs: Sequence[Run]
    calibrations: Mapping[Run, Calibration] = {}

    def of_run(self, run: Run, outputs: np.ndarray) -> np.ndarray:
        """The task's probabilities ``(N, C)`` among a run's mean ones over crops, scaled."""
        probabilities = outputs[:, columns_of_task(run, self.task)]
        if run not in self.calibrations:
            return probabilities
        return self.calibrations[run].of(learnt_task(run, self.task)).apply(probabilities)


def predict(
    requests: Sequence[Request],
    contexts: list[Any],
    *,
    crops: int = DEFAULT_CROPS,
    batch_size: int = 16,
    engine: str = AUTO,
    progress: Advance = no_progress,
) -> list[np.ndarray]:
    """Probabilities ``(N, C) float64`` for each request, averaged over crops and runs.

    A run computes each image once, even if several of its tasks are requested. ``crops`` is
    1, 5 or 10 views per image, ``batch_size`` the number of images per device, and ``engine``
    one of ENGINES, or auto for the fastest exact one. ``progress`` is called with the number
    of images done since the last call.

    Raises RunError when a run has not learnt the task of a request, DataError without
    images and for an image that cannot be decoded, and errors of open_engine.
    """
    check_requests(requests, crops)
    sums = [np.zeros((len(request.images), len(request.task.classes))) for request in requests]
    for run in distinct_runs(requests):
        work = images_of_run(run, requests)
        _, opened = open_chosen(run, contexts, engine, crops * len(work.images))
        probabilities = predict_with_engine(
            opened,
            run,
            work.images,
            crops=crops,
            batch_size=batch_size * len(contexts),
            progress=progress,
        )
        for number, (total, request) in enumerate(zip(sums, requests)):
            if run in request.runs:
                rows = work.rows_of(number, 0, len(request.images))
                total += request.of_run(run, probabilities[rows])
    return [total / len(request.runs) for total, request in zip(sums, requests)]


def check_requests(requests: Sequence[Request], crops: int) -> None:
    """Raise ConfigError for ``crops``, DataError without images, and errors of check_task."""
    if crops not in CROP_COUNTS:
        raise ConfigError(f"crops: found {crops}, expected one of {CROP_COUNTS}")
    for request in requests:
        if not request.images:
            raise DataError(f"{request.task.name}: no images to predict")
        for run in request.runs:
            check_task(run, request.task)


def predict_images(
    paths: Sequence[Union[str, ImageFile]], runs: Sequence[Run], contexts: list[Any], **options: Any
) -> dict[Task, np.ndarray]:
    """Probabilities of images for every task that the runs have learnt.

    Args:
        paths: Image files, N of them.
        runs: Opened runs, each counts once. Those that have learnt the same task are averaged.
        contexts: Devices, as fashionai.contexts gives them.
        **options: ``crops``, ``batch_size``, ``engine`` and ``progress``, as for
            fashionai.predictions.predict.predict.

    Returns:
        For each task the probabilities ``(N, C) float64``, one column per class.

    Raises:
        DataError: An image cannot be decoded.
        ConfigError: An option is wrong, or the engine cannot compute the network.

    Example:
        >>> run = fashionai.Run.open("runs/skirt")
        >>> fashionai.predict_images(["a.jpg"], [run], fashionai.contexts())
    """
    runs = list(dict.fromkeys(runs))
    learnt = dict.fromkeys(task for run in runs for task in run.tasks)
    files = [Path(path) if isinstance(path, str) else path for path in paths]
    requests = [Request(task, files, [run for run in runs if task in run.tasks]) for task in learnt]
    return dict(zip(learnt, predict(requests, contexts, **options)))


def distinct_runs(requests: Sequence[Request]) -> list[Run]:
    """The runs of all requests, each once."""
    return list(dict.fromkeys(run for request in requests for run in request.runs))


class RunImages(NamedTuple):
    """The images that a run has to compute, each once.

    ``rows`` has, by the number of a request, the number of the image of each of its rows,
    ``(N,) int64``. It is None where these are the images themselves, in their order.
    """

    images: Sequence[ImageFile]
    rows: dict[int, Optional[np.ndarray]]

    def rows_of(self, request: int, start: int, stop: int) -> np.ndarray:
        """The numbers of the images of consecutive rows of a request."""
        rows = self.rows[request]
        return np.arange(start, stop) if rows is None else rows[start:stop]


def images_of_run(run: Run, requests: Sequence[Request]) -> RunImages:
    """The images that a run has to compute, and those of each request among them."""
    wanted = {at: each.images for at, each in enumerate(requests) if run in each.runs}
    first = next(iter(wanted.values()))
    # A list that was read is not copied: it may have millions of images, which are distinct.
    if isinstance(first, ImageList) and all(images is first for images in wanted.values()):
        return RunImages(first, dict.fromkeys(wanted))
    number_of: dict[ImageFile, int] = {}
    for images in wanted.values():
        for image in images:
            number_of.setdefault(image, len(number_of))
    rows = {at: np.array([number_of[e] for e in images]) for at, images in wanted.items()}
    return RunImages(list(number_of), {**rows})


def check_task(run: Run, task: Task) -> None:
    """RunError unless the run has weights and has learnt the task with the same classes."""
    run.check_usable()
    if task.classes in [learnt.classes for learnt in run.tasks]:
        return
    for learnt in run.tasks:
        if learnt.name == task.name:
            then, now = (", ".join(each.classes) for each in (learnt, task))
            raise RunError(
                f"{run}: was trained on other classes of {task.name} ({then}), expected ({now})",
                "Train again, or prepare the task as it was",
            )
    names = ", ".join(learnt.name for learnt in run.tasks)
    raise RunError(f"{run}: was trained for {names}, expected {task.name}")


def predict_with_engine(
    engine: Engine,
    run: Run,
    images: Sequence[ImageFile],
    *,
    crops: int,
    batch_size: int,
    total: Optional[int] = None,
    progress: Advance = no_progress,
) -> np.ndarray:
    """Probabilities ``(N, C) float64`` of all classes of all tasks of a run, averaged over crops.

    ``batch_size`` is the number of images on all devices together, ``total`` that of all images
    where ``images`` are a part of them. Raises TrainingError when
    a probability is NaN, and errors of the engine, see GuardedEngine.
    """
    data = run.config.data
    # Batches are filled up with black images: a batch larger than the images wastes time.
    batch_size = min(batch_size, len(images) if total is None else total)
    loader = Loader(images, EvaluationTransform(data, crops), batch_size, workers=data.workers)
    batches = (batch.images for batch in loader.batches(np.arange(len(images))))
    results = []
    for result in mean_over_views(engine.begin, batches, batch_size):
        results.append(result)
        progress(len(result))
    probabilities = np.concatenate(results)
    _check_finite(probabilities, run, images)
    return probabilities


def _check_finite(probabilities: np.ndarray, run: Run, images: Sequence[ImageFile]) -> None:
    finite = np.isfinite(probabilities).all(axis=1)
    if not finite.all():
        raise TrainingError(
            f"{run}: its network gives {images[int(np.argmin(finite))]} a probability that is "
            "not a number",
            "The weights are damaged or the training diverged",
        )


def columns_of_task(run: Run, task: Task) -> slice:
    """The columns of learnt_task in the run's output."""
    return run.columns[run.tasks.index(learnt_task(run, task))]


def learnt_task(run: Run, task: Task) -> Task:
    """The task as the run has learnt it.

    Another task with the same classes stands in for a task that the run does not know by name.
    """
    same = [learnt for learnt in run.tasks if learnt.classes == task.classes]
    named = [learnt for learnt in same if learnt.name == task.name]
    return (named or same)[0]
