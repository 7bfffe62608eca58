"""Any task: a header ``path,class,probability`` and a column for each class.

The class is the most probable one, or of two classes the one that a threshold decides;
``probability`` is that of this class.

A DataFrame of fashionai.predict, written as CSV, is read as well. Its columns ``image`` and
``task`` stand in place of ``path``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Optional

import numpy as np

from fashionai.errors import DataError, counted, shown
from fashionai.files.formats import csv_files
from fashionai.predictions.decisions import predicted_labels
from fashionai.predictions.formats.base import (
    SUM_TOLERANCE,
    Format,
    PlacedFields,
    PlacedRow,
    PredictedRow,
    ThresholdCheck,
    parse_distribution,
    rounding_error,
    written,
)
from fashionai.tasks import Task

COLUMNS = ("path", "class", "probability")
FRAME_COLUMNS = ("image", "task", "class", "probability")


def _write(path: Path, rows: Iterable[PredictedRow], threshold: Optional[float]) -> None:
    csv_files.write_rows(path, _lines(rows, threshold))


def _lines(rows: Iterable[PredictedRow], threshold: Optional[float]) -> Iterator[tuple[str, ...]]:
    """The header and a line per row."""
    for position, row in enumerate(rows):
        classes = row.task.classes
        if position == 0:
            yield (*COLUMNS, *classes)
        numbers = [written(value) for value in row.probabilities]
        # Of the rounded values, so that readers of the file find the same class.
        values = np.array([float(number) for number in numbers])
        (label,) = predicted_labels(row.task, values[None], threshold)
        yield (row.image, classes[label], numbers[label], *numbers)


def _read(placed: Iterator[PlacedFields]) -> Iterator[PlacedRow]:
    header, place = next(placed)
    columns = FRAME_COLUMNS if _begins(header, FRAME_COLUMNS) else COLUMNS
    task = Task("", (), _read_classes(header, columns, place), "table")
    check = ThresholdCheck("class", task.classes)
    first_task: list[str] = []
    for fields, where in placed:
        if len(fields) != len(header):
            raise DataError(
                f"{where}: found {counted(len(fields), 'field')}, "
                f"expected {len(header)} as in the header"
            )
        image, *named_task, predicted, probability = fields[: len(columns)]
        numbers = fields[len(columns) :]
        first_task = first_task or named_task
        if named_task and (named_task != first_task or "" in numbers):
            raise DataError(
                f"{where}: found rows of several tasks, expected those of one",
                "Write the rows of each task, without empty columns, to a file of their own",
            )
        values = parse_distribution(numbers, where)
        label = _read_class(predicted, task.classes, values, where)
        if not _agrees(probability, values[label], numbers):
            raise DataError(
                f"{where}: probability is '{shown(probability)}', "
                f"but that of its class '{shown(predicted)}' is {values[label]}"
            )
        if len(values) == 2 and values[0] != values[1]:
            check.add(float(values[1] / values.sum()), label == 1, where)
        decided = None if values[label] == values.max() else label
        yield PredictedRow(image, task, values, decided, "".join(named_task)), where


def _read_classes(header: Sequence[str], columns: Sequence[str], place: str) -> tuple[str, ...]:
    """The classes that a header has behind ``columns``; DataError unless there are two or more."""
    classes = tuple(header[len(columns) :])
    if len(classes) < 2 or len(set(classes)) < len(classes) or "" in classes:
        raise DataError(
            f"{place}: found columns {shown(','.join(header), 400)}, "
            f"expected {','.join(columns)} and two or more distinct classes"
        )
    return classes


def _read_class(predicted: str, classes: Sequence[str], values: np.ndarray, where: str) -> int:
    """The index of the predicted class.

    Raises DataError unless it is one with the largest of the probabilities, or one of two classes.
    """
    label = classes.index(predicted) if predicted in classes else None
    if label is None or (len(classes) > 2 and values[label] != values.max()):
        largest = classes[int(values.argmax())]
        raise DataError(
            f"{where}: class is '{shown(predicted)}', but the largest probability is that "
            f"of '{shown(largest)}'"
        )
    return label


def _begins(fields: Sequence[str], columns: Sequence[str]) -> bool:
    return tuple(fields[: len(columns)]) == tuple(columns)


def _agrees(probability: str, value: float, numbers: Sequence[str]) -> bool:
    """Whether a probability is that of its class among the row's numbers, as far as they tell."""
    try:
        difference = abs(float(probability) - value)
    except ValueError:
        return False
    if difference <= SUM_TOLERANCE:
        return True
    rounding = rounding_error([probability]) + rounding_error(numbers) / len(numbers)
    return difference <= rounding + 1e-9


FORMAT = Format(
    name="table",
    first_row=f"a header {','.join(COLUMNS)},<class>,<class>,...",
    is_first_row=lambda fields: _begins(fields, COLUMNS) or _begins(fields, FRAME_COLUMNS),
    read=_read,
    write=_write,
    # A background that is held out has no column.
    takes_threshold=lambda task: not task.holds_out_background,
)
