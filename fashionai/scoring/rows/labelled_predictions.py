"""Rows that are both predicted and labelled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Optional

import numpy as np

from fashionai.pipeline.decode import ImageFile
from fashionai.tasks import Task


class LabelledPredictions(NamedTuple):
    """N rows of one task with their predictions and labels.

    ``images`` are the names of the images, ``files`` the images themselves, as far as the labels
    say where they are. ``marks (N, C) int8`` and ``probabilities (N, C)`` are those of
    fashionai.metrics; images of a held-out background have no YES.
    """

    task: Task
    images: Sequence[str]
    files: Sequence[Optional[ImageFile]]
    marks: np.ndarray
    probabilities: np.ndarray

    def of_rows(self, rows: np.ndarray) -> LabelledPredictions:
        """The rows at these positions ``(n,) int64``."""
        positions = rows.tolist()
        return LabelledPredictions(
            self.task,
            [self.images[row] for row in positions],
            [self.files[row] for row in positions],
            self.marks[rows],
            self.probabilities[rows],
        )
