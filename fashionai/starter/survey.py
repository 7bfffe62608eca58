"""The figures of a prepared task that the choices of a configuration are based on."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from fashionai.datasets.prepared.folders import PreparedSplit, read_split, read_task
from fashionai.errors import DataError, closest
from fashionai.families import full_names, known_task
from fashionai.pipeline.decode import read_header
from fashionai.tasks import Task, prepared_tasks

# The number of training images that are opened to measure the image size.
MEASURED_IMAGES = 200


class Survey(NamedTuple):
    """The figures of a prepared task.

    ``counts`` are the numbers of training images per class, ``(C,) int64``. ``short_side`` is
    the median short side, in pixels, of ``measured`` training images.
    """

    task: Task
    counts: np.ndarray
    val_images: int
    short_side: int
    measured: int

    @property
    def images(self) -> int:
        """The number of training images."""
        return int(self.counts.sum())


def find_prepared(name: str, folder: Path) -> Task:
    """Return the task of that name or alias that is prepared in ``folder``.

    Raises DataError, with the nearest name or the command to run, when it is not prepared.
    """
    known = {each: task for task in prepared_tasks(folder) for each in (task.name, *task.aliases)}
    task = known.get(name)
    meant = closest(name, known)
    if task is None and known_task(name) is None and meant is not None:
        raise DataError(f"{folder}: no task '{name}' is prepared there", f"Did you mean '{meant}'?")
    # The error for a folder that is not prepared, or not completely, says how to prepare it.
    return read_task(folder / (task.name if task else full_names([name])[0]))


def survey_task(task: Task, folder: Path, rng: np.random.Generator) -> Survey:
    """Count the images of a prepared task, and measure some that ``rng`` chooses.

    Raises DataError as read_split does, and for a file that is not an image.
    """
    train, val = (read_split(folder / task.name, split) for split in ("train", "val"))
    sides = _short_sides(train, rng)
    counts = np.bincount(train.class_indices, minlength=len(task.classes))
    return Survey(task, counts, len(val.paths), int(np.median(sides)), len(sides))


def _short_sides(split: PreparedSplit, rng: np.random.Generator) -> list[int]:
    count = min(MEASURED_IMAGES, len(split.paths))
    sides = []
    for position in rng.choice(len(split.paths), count, replace=False):
        path = split.paths[position]
        header = read_header(path.read_bytes())
        if header is None:
            raise DataError(f"{path}: is not an image any more", "Prepare the task again")
        sides.append(min(header))
    return sides
