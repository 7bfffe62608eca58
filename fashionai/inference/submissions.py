"""Prediction files: the only place that knows what a competition wants to read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fashionai.csv_files import read_rows, write_rows
from fashionai.errors import ConfigError, DataError
from fashionai.tasks import Task, find_task

# Written probabilities are rounded, so their sum is 1 within this.
SUM_TOLERANCE = 1e-3


class PredictedRow(NamedTuple):
    """One row: the image as the question file names it, its task, probabilities ``(C,)``."""

    image: str
    task: Task
    probabilities: np.ndarray


def write_fashionai(path: Path, rows: Iterable[PredictedRow]) -> None:
    """Write ``image,task,p0;p1;...`` with 8 decimals and no header, atomically."""
    write_rows(
        path,
        (
            (image, task.name, ";".join(f"{value:.8f}" for value in probabilities))
            for image, task, probabilities in rows
        ),
    )


def write_table(path: Path, images: Sequence[str], task: Task, probabilities: np.ndarray) -> None:
    """Write ``path,class,probability`` and a column for each class, with a header, atomically."""
    rows: list[tuple[str, ...]] = [("path", "class", "probability", *task.classes)]
    for image, values in zip(images, probabilities):
        best = int(values.argmax())
        numbers = (f"{value:.8f}" for value in (values[best], *values))
        rows.append((image, task.classes[best], *numbers))
    write_rows(path, rows)


def read_fashionai(path: Path) -> list[PredictedRow]:
    """Read what write_fashionai writes, or any competitor's file of that shape.

    Raises DataError with the line for another number of fields or
    probabilities, for values outside [0, 1] or that do not sum to 1, and for a
    row that occurs twice.
    """
    rows: list[PredictedRow] = []
    places: dict[tuple[str, str], str] = {}
    for fields, where in read_rows(path):
        row = _parse(fields, where)
        first = places.setdefault((row.image, row.task.name), where)
        if first != where:
            raise DataError(f"{where}: {row.image} was already predicted at {first}")
        rows.append(row)
    if not rows:
        raise DataError(f"{path}: no rows")
    return rows


def _parse(fields: Sequence[str], where: str) -> PredictedRow:
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
    return PredictedRow(image, task, _parse_probabilities(values, where))


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


def match_rows(
    predicted: Sequence[tuple[str, str]],
    expected: Sequence[tuple[str, str]],
    names: tuple[str, str],
) -> list[int]:
    """For every expected row, the position of its prediction.

    Rows are (image, task) and occur once on each side; ``names`` are the two
    files, for the DataError that lists the first rows that are missing or extra.
    """
    positions = {row: index for index, row in enumerate(predicted)}
    missing = [row for row in expected if row not in positions]
    _complain(missing, names[0], "has no prediction for", names[1])
    extra = list(positions.keys() - set(expected))
    _complain(sorted(extra, key=positions.__getitem__), names[1], "has no label for", names[0])
    return [positions[row] for row in expected]


def _complain(rows: Sequence[tuple[str, str]], file: str, problem: str, other: str) -> None:
    if rows:
        listed = ", ".join(f"{image} ({task})" for image, task in rows[:3])
        more = f" and {len(rows) - 3:,} more" if len(rows) > 3 else ""
        count = f"{len(rows):,} row{'s' if len(rows) > 1 else ''}"
        raise DataError(f"{file} {problem} {count} of {other}: {listed}{more}")
