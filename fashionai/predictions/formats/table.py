"""Any task: a header ``path,class,probability`` and a column for each class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Optional

from fashionai.errors import DataError, shown
from fashionai.files import csv_files
from fashionai.predictions.formats.base import (
    SUM_TOLERANCE,
    Format,
    PlacedFields,
    PlacedRow,
    PredictedRow,
    parse_distribution,
    rounding_error,
    written,
)
from fashionai.tasks import Task

COLUMNS = ("path", "class", "probability")


def _write(path: Path, rows: Sequence[PredictedRow], threshold: Optional[float]) -> None:
    classes = rows[0].task.classes
    lines: list[tuple[str, ...]] = [(*COLUMNS, *classes)]
    for row in rows:
        numbers = [written(value) for value in row.probabilities]
        # Of the rounded values, so that readers of the file find the same class.
        best = max(range(len(numbers)), key=lambda index: float(numbers[index]))
        lines.append((row.image, classes[best], numbers[best], *numbers))
    csv_files.write_rows(path, lines)


def _read(placed: Iterator[PlacedFields]) -> Iterator[PlacedRow]:
    header, place = next(placed)
    classes = header[len(COLUMNS) :]
    if len(classes) < 2 or len(set(classes)) < len(classes) or "" in classes:
        listed = shown(",".join(header), 400)
        raise DataError(
            f"{place}: found columns {listed}, "
            f"expected {','.join(COLUMNS)} and two or more distinct classes"
        )
    task = Task("", (), tuple(classes), "table")
    for fields, where in placed:
        if len(fields) != len(header):
            raise DataError(
                f"{where}: found {len(fields)} fields, expected {len(header)} as in the header"
            )
        image, predicted, probability, *numbers = fields
        values = parse_distribution(numbers, where)
        if predicted not in classes or values[classes.index(predicted)] != values.max():
            largest = classes[int(values.argmax())]
            raise DataError(
                f"{where}: class is '{shown(predicted)}', but the largest probability is that "
                f"of '{shown(largest)}'"
            )
        rounding = rounding_error([probability]) + rounding_error(numbers) / len(numbers)
        _check_confidence(probability, values.max(), rounding, where)
        yield PredictedRow(image, task, values), where


def _check_confidence(probability: str, largest: float, rounding: float, where: str) -> None:
    try:
        agrees = abs(float(probability) - largest) <= max(SUM_TOLERANCE, rounding + 1e-9)
    except ValueError:
        agrees = False
    if not agrees:
        raise DataError(
            f"{where}: probability is '{shown(probability)}', "
            f"but the largest of the classes is {largest}"
        )


FORMAT = Format(
    name="table",
    first_row=f"a header {','.join(COLUMNS)},<class>,<class>,...",
    is_first_row=lambda fields: tuple(fields[: len(COLUMNS)]) == COLUMNS,
    read=_read,
    write=_write,
)
