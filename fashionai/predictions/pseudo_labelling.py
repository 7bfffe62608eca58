"""Chooses the confident predictions of unlabelled images, as pseudo-labels to train on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np

from fashionai.datasets.names import SPLITS
from fashionai.datasets.prepared.check import find_copies
from fashionai.datasets.prepared.folders import read_split
from fashionai.datasets.prepared.manifest import MANIFEST
from fashionai.datasets.pseudo_labels import PseudoLabel
from fashionai.errors import DataError, RunError, counted
from fashionai.pipeline.decode import ImageFile
from fashionai.predictions.plan import Plan, TaskRows
from fashionai.predictions.predict import predict
from fashionai.progress import ProgressBar, no_bar
from fashionai.runs import Run
from fashionai.tasks import Task


class Chosen(NamedTuple):
    """Pseudo-labels of a task.

    By class, ``predicted`` counts the images that were predicted as it, ``confident`` those with
    at least the wanted probability, and ``known`` those of them that are labelled already.
    ``labels`` are in the order of the images.
    """

    task: Task
    labels: list[PseudoLabel]
    predicted: np.ndarray
    confident: np.ndarray
    known: np.ndarray


def pseudo_label(
    plan: Plan,
    contexts: Sequence[Any],
    *,
    min_probability: float,
    per_class: Optional[int] = None,
    progress: ProgressBar = no_bar,
    **options: Any,
) -> Chosen:
    """Predict the images of a plan of one task, and choose the confident ones.

    Their largest probability is at least ``min_probability``; of each class the ``per_class``
    images of the largest ones are taken. Images with the bytes of an image in the prepared folder
    of a run are left out. ``options`` are those of fashionai.predictions.predict.predict.

    Raises DataError when no image is left, and for images that are no files of their own.
    """
    part = only_part(plan)
    task, images = part.request.task, _files(part.request.images)
    with progress("predicting", plan.images) as advance:
        (probabilities,) = predict([part.request], list(contexts), progress=advance, **options)
    classes, largest = probabilities.argmax(axis=1), probabilities.max(axis=1)
    confident = largest >= min_probability
    if not confident.any():
        raise DataError(
            f"no image reaches a probability of {min_probability:g}, the largest is "
            f"{largest.max():.4f}",
            "Give a smaller --min-probability",
        )
    known = confident & _known(images, confident, part.request.runs, task, progress)
    taken = choose_rows(classes, largest, confident & ~known, per_class)
    if not len(taken):
        raise DataError(f"{counted(int(known.sum()), 'confident image')}: all labelled already")
    labels = [
        PseudoLabel(images[row], task.classes[classes[row]], float(largest[row])) for row in taken
    ]
    parts = (classes, classes[confident], classes[known])
    return Chosen(task, labels, *(np.bincount(part, minlength=len(task.classes)) for part in parts))


def only_part(plan: Plan) -> TaskRows:
    """The rows of the one task of a plan; RunError for several tasks."""
    if len(plan.parts) > 1:
        names = ", ".join(part.request.task.short_name for part in plan.parts)
        raise RunError(f"pseudo-labels are of one task, the runs have {names}", "Give --task")
    return plan.parts[0]


def choose_rows(
    classes: np.ndarray, largest: np.ndarray, allowed: np.ndarray, per_class: Optional[int]
) -> np.ndarray:
    """The positions of the allowed rows, of each class those of the largest probabilities.

    All arrays are ``(N,)``. Of equal probabilities the earlier row comes first.
    """
    rows = np.flatnonzero(allowed)
    if per_class is None:
        return rows
    best_first = rows[np.argsort(-largest[rows], kind="stable")]
    taken = [best_first[classes[best_first] == each][:per_class] for each in np.unique(classes)]
    return np.sort(np.concatenate(taken))


def _files(images: Sequence[ImageFile]) -> list[Path]:
    for image in images:
        if not isinstance(image, Path):
            raise DataError(f"{image}: is inside an archive, expected files", "Unpack it")
    return [image for image in images if isinstance(image, Path)]


def _known(
    images: Sequence[Path],
    confident: np.ndarray,
    runs: Sequence[Run],
    task: Task,
    progress: ProgressBar,
) -> np.ndarray:
    """Which confident images have the bytes of an image in the runs' prepared folders."""
    rows = np.flatnonzero(confident)
    known = np.zeros(len(images), bool)
    known[rows] = find_copies([images[row] for row in rows], _prepared(runs, task), progress)
    return known


def _prepared(runs: Sequence[Run], task: Task) -> list[Path]:
    """The labelled images of the prepared folders of a task that the runs were trained on."""
    folders = {Path(run.config.data.folder) / task.name for run in runs}
    paths: list[Path] = []
    for folder in folders:
        if (folder / MANIFEST).is_file():
            present = [split for split in SPLITS if (folder / split).is_dir()]
            paths += read_split(folder, *present, background=True).paths
    return paths
