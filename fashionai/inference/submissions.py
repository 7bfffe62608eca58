"""Prediction files: the only place that knows what a competition wants to read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np

from fashionai import csv_files
from fashionai.errors import ConfigError, DataError
from fashionai.tasks import Task, find_task

# Digits after the point of a written probability.
DECIMALS = 8
# Written probabilities are rounded, so their sum is 1 within this.
SUM_TOLERANCE = 1e-3

TABLE_COLUMNS = ("path", "class", "probability")

# An image and the name of its task, empty for the rows of a table: what makes a row the same
# in two files.
RowKey = tuple[str, str]


class PredictedRow(NamedTuple):
    """One row: the image as the question file names it, its task, probabilities ``(C,)``."""

    image: str
    task: Task
    probabilities: np.ndarray

    @property
    def key(self) -> RowKey:
        """What makes it the same row in another file."""
        return self.image, self.task.name


# Fields and their place, as csv_files.read_rows gives them.
PlacedFields = tuple[list[str], str]


class Format(NamedTuple):
    """One shape of prediction file: how its first row looks, its reader and its writer."""

    first_row: str
    is_first_row: Callable[[Sequence[str]], bool]
    read: Callable[[Iterator[PlacedFields]], Iterator[tuple[PredictedRow, str]]]
    write: Callable[[Path, Sequence[PredictedRow]], None]


def read_predictions(path: Path) -> list[PredictedRow]:
    """Read a prediction file of any known format, told by its first row.

    A table does not name its task: its rows get one of the header's classes
    (see task_in_file). Raises DataError with the line for another shape, for
    values that are no probabilities of sum 1, and for a row that occurs twice.
    """
    placed = csv_files.read_rows(path)
    first = next(placed, None)
    if first is None:
        raise DataError(f"{path}: no rows")
    rows: list[PredictedRow] = []
    places: dict[RowKey, str] = {}
    for row, where in _format_of(*first).read(itertools.chain([first], placed)):
        if not row.image:
            raise DataError(f"{where}: no image path")
        earlier = places.setdefault(row.key, where)
        if earlier != where:
            raise DataError(f"{where}: {row.image} was already predicted at {earlier}")
        rows.append(row)
    if not rows:
        raise DataError(f"{path}: no rows below its header")
    return rows


def write_predictions(path: Path, rows: Sequence[PredictedRow]) -> None:
    """Write rows in the format of their task's family, probabilities with 8 decimals, atomically.

    Raises DataError for rows of several tasks in a format that holds one.
    """
    FORMATS.get(rows[0].task.family, TABLE).write(path, rows)


def as_written(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities as a prediction file holds them: scores of a run and of its file are equal."""
    return probabilities.round(DECIMALS)


def task_in_file(task: Task) -> Task:
    """The task as a prediction file shows it: a table tells its classes, not its name."""
    if FORMATS.get(task.family, TABLE) is TABLE:
        return Task("", (), task.classes, "table")
    return task


def _write_fashionai(path: Path, rows: Sequence[PredictedRow]) -> None:
    csv_files.write_rows(
        path,
        (
            (image, task.name, ";".join(f"{value:.{DECIMALS}f}" for value in probabilities))
            for image, task, probabilities in rows
        ),
    )


def _write_table(path: Path, rows: Sequence[PredictedRow]) -> None:
    tasks = list(dict.fromkeys(row.task for row in rows))
    if len(tasks) > 1:
        names = ", ".join(task.name for task in tasks)
        raise DataError(f"{path}: a table holds the rows of one task, found {names}")
    classes = tasks[0].classes
    lines: list[tuple[str, ...]] = [(*TABLE_COLUMNS, *classes)]
    for image, _, probabilities in rows:
        numbers = [f"{value:.{DECIMALS}f}" for value in probabilities]
        # Of the rounded values, so that whoever reads the file finds the same class.
        best = max(range(len(numbers)), key=lambda index: float(numbers[index]))
        lines.append((image, classes[best], numbers[best], *numbers))
    csv_files.write_rows(path, lines)


def _format_of(fields: Sequence[str], where: str) -> Format:
    for candidate in FORMATS.values():
        if candidate.is_first_row(fields):
            return candidate
    shapes = " or ".join(candidate.first_row for candidate in FORMATS.values())
    raise DataError(f"{where}: not a prediction file, expected {shapes}")


def _read_fashionai(placed: Iterator[PlacedFields]) -> Iterator[tuple[PredictedRow, str]]:
    for fields, where in placed:
        if len(fields) != 3:
            raise DataError(f"{where}: found {len(fields)} fields, expected image,task,p0;p1;...")
        image, task_name, numbers = fields
        try:
            task = find_task(task_name)
        except ConfigError as error:
            raise DataError(f"{where}: {error}") from None
        values = numbers.split(";")
        if len(values) != len(task.classes):
            raise DataError(
                f"{where}: found {len(values)} probabilities, "
                f"expected {len(task.classes)} for {task.name}"
            )
        yield PredictedRow(image, task, _parse_probabilities(values, where)), where


def _read_table(placed: Iterator[PlacedFields]) -> Iterator[tuple[PredictedRow, str]]:
    header, place = next(placed)
    classes = header[len(TABLE_COLUMNS) :]
    if len(classes) < 2 or len(set(classes)) < len(classes) or "" in classes:
        raise DataError(
            f"{place}: found columns {','.join(header)}, "
            f"expected {','.join(TABLE_COLUMNS)} and two or more distinct classes"
        )
    task = Task("", (), tuple(classes), "table")
    for fields, where in placed:
        if len(fields) != len(header):
            raise DataError(
                f"{where}: found {len(fields)} fields, expected {len(header)} as in the header"
            )
        image, answer, probability, *numbers = fields
        values = _parse_probabilities(numbers, where)
        if answer not in classes or values[classes.index(answer)] != values.max():
            largest = classes[int(values.argmax())]
            raise DataError(
                f"{where}: class is '{answer}', but the largest probability is that of '{largest}'"
            )
        _check_confidence(probability, values.max(), where)
        yield PredictedRow(image, task, values), where


def _check_confidence(probability: str, largest: float, where: str) -> None:
    try:
        agrees = abs(float(probability) - largest) <= SUM_TOLERANCE
    except ValueError:
        agrees = False
    if not agrees:
        raise DataError(
            f"{where}: probability is '{probability}', but the largest of the classes is {largest}"
        )


def _parse_probabilities(values: Sequence[str], where: str) -> np.ndarray:
    try:
        probabilities = np.array([float(value) for value in values])
    except ValueError:
        raise DataError(f"{where}: found {';'.join(values)}, expected numbers") from None
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise DataError(f"{where}: found {';'.join(values)}, expected probabilities from 0 to 1")
    if abs(probabilities.sum() - 1) > SUM_TOLERANCE:
        raise DataError(f"{where}: probabilities sum to {probabilities.sum():.6g}, expected 1")
    return probabilities


# By family; the tasks of every other family go into tables. The first whose first row fits reads
# a file, so those that look at more of the row come first.
FORMATS = {
    "table": Format(
        first_row=f"a header {','.join(TABLE_COLUMNS)},<class>,<class>,...",
        is_first_row=lambda fields: tuple(fields[: len(TABLE_COLUMNS)]) == TABLE_COLUMNS,
        read=_read_table,
        write=_write_table,
    ),
    "fashionai": Format(
        first_row="rows image,task,p0;p1;...",
        is_first_row=lambda fields: ";" in fields[-1],
        read=_read_fashionai,
        write=_write_fashionai,
    ),
}
TABLE = FORMATS["table"]
