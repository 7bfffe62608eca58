"""Rows of prediction files, and what a module provides to read and write one format.

A format module has one object FORMAT.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Callable, NamedTuple, Optional, TypeVar

import numpy as np

from fashionai.errors import DataError, counted, shown
from fashionai.files.names import composed
from fashionai.tasks import Task

# Digits after the point of a written probability.
DECIMALS = 8
# Written probabilities are rounded, so their sum is 1 within this, or within rounding_error.
SUM_TOLERANCE = 1e-3

# The key by which rows of different files are joined: an image and the name of its task, which is
# empty for the rows of a table.
RowKey = tuple[str, str]


def row_key(image: str, task: Task) -> RowKey:
    """What makes a row the same in two files, however they spell accented letters."""
    return composed(image), task.name


class PredictedRow(NamedTuple):
    """One row: the image as the file names it, its task, probabilities ``(C,)``.

    ``class_index`` is the predicted class where the file has one that a threshold decided.
    ``task_name`` is the name that a table has in its column ``task``. Rows are joined without it.
    """

    image: str
    task: Task
    probabilities: np.ndarray
    class_index: Optional[int] = None
    task_name: str = ""

    @property
    def key(self) -> RowKey:
        """The key by which rows of different files are joined."""
        return row_key(self.image, self.task)

    @property
    def less_probable_class(self) -> Optional[int]:
        """The predicted class where a threshold decided for another than the most probable one."""
        return None if self.class_index == self.probabilities.argmax() else self.class_index


class LabelPrediction(NamedTuple):
    """One row of a file of predicted labels: one of the task's labels and its confidence."""

    image: str
    task: Task
    label: str
    confidence: float

    @property
    def key(self) -> RowKey:
        """The key by which rows of different files are joined."""
        return row_key(self.image, self.task)


# Rows of a file of probabilities, or of a file of predicted labels.
FileRow = TypeVar("FileRow", PredictedRow, LabelPrediction)
# Fields and their place, as csv_files.read_csv_rows gives them.
PlacedFields = tuple[list[str], str]
PlacedRow = tuple[PredictedRow, str]
PlacedLabel = tuple[LabelPrediction, str]


class Format(NamedTuple):
    """One format of prediction files.

    ``first_row`` describes a file's first row to people, and ``is_first_row`` recognizes it.
    A file holds probabilities, which ``read`` reads, or only predicted labels, which
    ``read_label_predictions`` reads; the other one is None. ``image_name`` turns an image's path
    into its name in the file. ``takes_threshold`` tells of a task whether a threshold can change
    the predicted labels in the file. With ``holds_tasks`` one file holds the rows of several tasks.
    """

    name: str
    first_row: str
    is_first_row: Callable[[Sequence[str]], bool]
    write: Callable[[Path, Iterable[PredictedRow], Optional[float]], None]
    read: Optional[Callable[[Iterator[PlacedFields]], Iterator[PlacedRow]]] = None
    read_label_predictions: Optional[Callable[[Iterator[PlacedFields]], Iterator[PlacedLabel]]] = (
        None
    )
    image_name: Callable[[str], str] = str
    takes_threshold: Callable[[Task], bool] = lambda task: False
    holds_tasks: bool = False


class ThresholdCheck:
    """Checks of two classes that some threshold decides the predicted class of every row.

    Args:
        name: What the file calls the predicted class.
        labels: How the file names the two classes.
    """

    def __init__(self, name: str, labels: Sequence[str]) -> None:
        self._name, self._labels = name, labels
        self._largest_no, self._smallest_yes = (-1.0, ""), (2.0, "")

    def add(self, probability: float, is_second: bool, where: str) -> None:
        """Add a row with its probability of the second class.

        Raises DataError when no threshold divides the rows so far.
        """
        if is_second:
            self._smallest_yes = min(self._smallest_yes, (probability, where))
        else:
            self._largest_no = max(self._largest_no, (probability, where))
        (no, place_of_no), (yes, place_of_yes) = self._largest_no, self._smallest_yes
        if no >= yes:
            raise DataError(
                f"{where}: {self._name} is {self._labels[0]} where the probability of "
                f"{self._labels[1]} is {no:.8g} ({place_of_no}) and {self._labels[1]} where it is "
                f"{yes:.8g} ({place_of_yes}): no threshold gives both"
            )


def as_written(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities as a prediction file holds them: scores of a run and of its file are equal."""
    return probabilities.round(DECIMALS)


def written(probability: float) -> str:
    """One probability with 8 decimals."""
    return f"{probability:.{DECIMALS}f}"


def file_name(path: str) -> str:
    """The last part of an image's path."""
    return path.rsplit("/", 1)[-1]


def parse_probabilities(values: Sequence[str], where: str) -> np.ndarray:
    """Numbers from 0 to 1, ``(N,) float64``; DataError with ``where`` for others."""
    try:
        probabilities = np.array([float(value) for value in values])
    except ValueError:
        found = shown(";".join(values))
        raise DataError(f"{where}: found {found}, expected numbers") from None
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        found = shown(";".join(values))
        raise DataError(f"{where}: found {found}, expected probabilities from 0 to 1")
    return probabilities


def rounding_error(values: Sequence[str]) -> float:
    """The largest sum of the errors that rounding gives numbers with so many decimals.

    It is half a unit of the last decimal for each number. It is 0 for fewer than two decimals,
    which could explain almost any sum.
    """
    decimals = max(_decimals(value) for value in values)
    return len(values) * 0.5 * 10.0**-decimals if decimals >= 2 else 0.0


def _decimals(number: str) -> int:
    try:
        exponent = Decimal(number).as_tuple().exponent
    except ArithmeticError:  # an exponent of many digits
        return 0
    return -exponent if isinstance(exponent, int) else 0


def parse_distribution(values: Sequence[str], where: str) -> np.ndarray:
    """As parse_probabilities, and their sum is 1, as far as their decimals can tell."""
    probabilities = parse_probabilities(values, where)
    difference = abs(probabilities.sum() - 1)
    # A little more, because sums of binary numbers are rounded as well. Rounding is looked at last
    # because that takes longer than all else.
    if difference > SUM_TOLERANCE and difference > rounding_error(values) + 1e-9:
        raise DataError(f"{where}: probabilities sum to {probabilities.sum():.6g}, expected 1")
    return probabilities


def check_fields(fields: Sequence[str], expected: Sequence[str], where: str) -> None:
    """DataError unless a row has as many fields as ``expected`` names."""
    if len(fields) != len(expected):
        raise DataError(
            f"{where}: found {counted(len(fields), 'field')}, expected {','.join(expected)}"
        )


def row_of_two_classes(image: str, task: Task, probability: str, where: str) -> PredictedRow:
    """A row of a file that holds only the probability of the second of two classes."""
    (value,) = parse_probabilities([probability], where)
    return PredictedRow(image, task, np.array([1 - value, value]))
