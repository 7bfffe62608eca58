"""A comparison of two prediction files of the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from fashionai.errors import DataError
from fashionai.files.formats.csv_files import write_rows
from fashionai.files.outputs import csv_kind
from fashionai.metrics import true_classes
from fashionai.predictions.formats import DECIMALS
from fashionai.scoring.rows.joining import JoinedTask
from fashionai.scoring.rows.labels import Labels, labels_of
from fashionai.tasks import NAMELESS, Task

DIFFERENCE_COLUMNS = (
    *("image", "task", "class_a", "probability_a", "class_b", "probability_b"),
    "true_class",
)
# What write_differences writes.
DIFFERENCES = csv_kind("differences", DIFFERENCE_COLUMNS)


class Outcomes(NamedTuple):
    """How many labelled rows each of two files A and B predicts correctly."""

    both: int
    only_a: int
    only_b: int
    neither: int

    @property
    def rows(self) -> int:
        """All labelled rows."""
        return sum(self)

    @property
    def p_value(self) -> float:
        """The p value of McNemar's exact test."""
        return mcnemar_p_value(self.only_a, self.only_b)


class TaskComparison(NamedTuple):
    """The predictions of both files for N rows of one task.

    ``predicted`` ``(2, N)`` are class indices and ``confidence`` ``(2, N)`` their
    probabilities. ``truth`` ``(N,)`` are true class indices, -1 for rows without a label.
    ``positions`` are the positions of the rows in the first file.
    """

    task: Task
    positions: list[int]
    images: list[str]
    predicted: np.ndarray
    confidence: np.ndarray
    mean_difference: float
    truth: np.ndarray

    @property
    def name(self) -> str:
        """The task's name, or NAMELESS."""
        return self.task.name or NAMELESS

    @property
    def differs(self) -> np.ndarray:
        """Which rows have different predictions, ``(N,) bool``."""
        return self.predicted[0] != self.predicted[1]

    def count_predicted(self, class_index: int) -> tuple[int, int, int]:
        """For how many rows A, B and both predict a class."""
        a, b = self.predicted == class_index
        return int(a.sum()), int(b.sum()), int((a & b).sum())

    def outcomes(self, class_index: Optional[int] = None) -> Outcomes:
        """Counts of correct predictions, over all labelled rows or those of one true class."""
        chosen = self.truth >= 0 if class_index is None else self.truth == class_index
        a, b = (self.predicted == self.truth)[:, chosen]
        cells = (a & b, a & ~b, ~a & b, ~a & ~b)
        return Outcomes(*(int(cell.sum()) for cell in cells))


def compare_tasks(
    joined: Sequence[JoinedTask], labels: Labels, names: tuple[str, str]
) -> list[TaskComparison]:
    """Compare two joined files, task by task.

    ``labels`` may be empty or lack some of the rows. ``names`` are the files of the predictions
    and of the labels. ``mean_difference`` of the result is the mean absolute difference of
    probabilities over rows and classes. Raises DataError when labels were given and none of
    the rows has one.
    """
    compared = []
    for part in joined:
        found = labels_of(part.task, part.images, labels, names)
        compared.append(
            TaskComparison(
                found.task,
                part.positions,
                part.images,
                part.probabilities.argmax(axis=2),
                part.probabilities.max(axis=2),
                float(np.abs(part.probabilities[0] - part.probabilities[1]).mean()),
                np.where(found.known, true_classes(found.marks), -1),
            )
        )
    if labels and not any(comparison.outcomes().rows for comparison in compared):
        first = joined[0].images[0]
        raise DataError(f"{names[1]} has no label for any row of {names[0]}, such as {first}")
    return compared


def write_differences(path: Path, compared: Sequence[TaskComparison]) -> int:
    """Write the rows with different predictions, in the order of the first file.

    Returns the number of rows. The columns are DIFFERENCE_COLUMNS; the true class is empty for
    rows without a label.
    """
    rows: list[tuple[int, tuple[str, ...]]] = []
    for part in compared:
        classes = part.task.classes
        for row in np.flatnonzero(part.differs):
            fields = [part.images[row], part.task.name]
            for class_index, confidence in zip(part.predicted[:, row], part.confidence[:, row]):
                fields += [classes[class_index], f"{confidence:.{DECIMALS}f}"]
            fields.append(classes[part.truth[row]] if part.truth[row] >= 0 else "")
            rows.append((part.positions[row], tuple(fields)))
    write_rows(path, [DIFFERENCE_COLUMNS, *(fields for _, fields in sorted(rows))])
    return len(rows)


def mcnemar_p_value(only_a: int, only_b: int) -> float:
    """The exact two-sided p value of McNemar's test, from the rows that one of two gets right.

    Were both equally good, each such row would be a toss of a coin (McNemar
    1947, Psychometrika 12:153-157, with binomial probabilities).
    """
    # Imported late: 0.06 s, which only labels need. scipy.stats.binomtest would take 0.4 s.
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))
