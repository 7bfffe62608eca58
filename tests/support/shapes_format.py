"""The prediction file of a made-up family: a header, then the odds of the second class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Optional

from fashionai.families import find_task
from fashionai.files.formats import csv_files
from fashionai.predictions.formats.base import (
    Format,
    PlacedFields,
    PlacedRow,
    PredictedRow,
    row_of_two_classes,
    written,
)

HEADER = ("picture", "how_square")


def _write(path: Path, rows: Sequence[PredictedRow], threshold: Optional[float]) -> None:
    lines = [(row.image, written(row.probabilities[1])) for row in rows]
    csv_files.write_rows(path, [HEADER, *lines])


def _read(placed: Iterator[PlacedFields]) -> Iterator[PlacedRow]:
    next(placed)
    for (image, probability), where in placed:
        yield row_of_two_classes(image, find_task("shapes"), probability, where), where


FORMAT = Format(
    name="shapes",
    first_row=f"a header {','.join(HEADER)}",
    is_first_row=lambda fields: tuple(fields) == HEADER,
    read=_read,
    write=_write,
)
