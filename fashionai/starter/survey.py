"""The figures of a prepared task that the choices of a configuration are based on."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from fashionai.datasets.prepared.folders import PreparedSplit, read_split
from fashionai.errors import DataError
from fashionai.pipeline.decode import read_header
from fashionai.tasks import Task

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
