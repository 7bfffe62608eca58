"""Files that hold the probability of the second of two classes: cacti and video covers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Optional

import numpy as np

from fashionai import csv_files
from fashionai.errors import DataError
from fashionai.predictions.formats.base import (
    Format,
    PlacedFields,
    PlacedRow,
    PredictedRow,
    as_written,
    check_fields,
    file_name,
    parse_probabilities,
    written,
)
from fashionai.predictions.thresholds import answered_labels
from fashionai.tasks import CACTUS, COVERS, Task

CACTUS_COLUMNS = ("id", "has_cactus")
COVERS_COLUMNS = ("file", "probability", "is_cat")


def _write_cactus(path: Path, rows: Sequence[PredictedRow], threshold: Optional[float]) -> None:
    lines = [(row.image, written(row.probabilities[1])) for row in rows]
    csv_files.write_rows(path, [CACTUS_COLUMNS, *lines])


def _read_cactus(placed: Iterator[PlacedFields]) -> Iterator[PlacedRow]:
    next(placed)
    for fields, where in placed:
        check_fields(fields, CACTUS_COLUMNS, where)
        yield _row(fields[0], CACTUS, fields[1], where), where


def _write_covers(path: Path, rows: Sequence[PredictedRow], threshold: Optional[float]) -> None:
    probabilities = as_written(np.array([row.probabilities for row in rows]))
    answers = answered_labels(COVERS, probabilities, threshold)
    lines = [
        (row.image, written(values[1]), str(answer))
        for row, values, answer in zip(rows, probabilities, answers)
    ]
    csv_files.write_rows(path, [COVERS_COLUMNS, *lines])


def _read_covers(placed: Iterator[PlacedFields]) -> Iterator[PlacedRow]:
    """Rows in which some threshold divides those of is_cat 1 from those of 0."""
    next(placed)
    largest_no, smallest_yes = (-1.0, ""), (2.0, "")
    for fields, where in placed:
        check_fields(fields, COVERS_COLUMNS, where)
        row = _row(fields[0], COVERS, fields[1], where)
        if fields[2] not in ("0", "1"):
            raise DataError(f"{where}: is_cat is '{fields[2]}', expected 0 or 1")
        placed_probability = float(row.probabilities[1]), where
        if fields[2] == "1":
            smallest_yes = min(smallest_yes, placed_probability)
        else:
            largest_no = max(largest_no, placed_probability)
        if largest_no[0] >= smallest_yes[0]:
            raise DataError(
                f"{where}: is_cat is 0 at probability {largest_no[0]} ({largest_no[1]}) "
                f"and 1 at {smallest_yes[0]} ({smallest_yes[1]})"
            )
        yield row._replace(answer=int(fields[2])), where


def _row(image: str, task: Task, probability: str, where: str) -> PredictedRow:
    (value,) = parse_probabilities([probability], where)
    return PredictedRow(image, task, np.array([1 - value, value]))


CACTUS_FORMAT = Format(
    name="cactus",
    first_row=f"a header {','.join(CACTUS_COLUMNS)}",
    is_first_row=lambda fields: tuple(fields) == CACTUS_COLUMNS,
    read=_read_cactus,
    write=_write_cactus,
    image_name=file_name,
)
COVERS_FORMAT = Format(
    name="covers",
    first_row=f"a header {','.join(COVERS_COLUMNS)}",
    is_first_row=lambda fields: tuple(fields) == COVERS_COLUMNS,
    read=_read_covers,
    write=_write_covers,
    takes_threshold=True,
)
