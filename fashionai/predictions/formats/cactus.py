"""Aerial cactus identification (Kaggle): ``id,has_cactus``, the probability of class 1."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Optional

from fashionai.families import CACTUS
from fashionai.files.formats import csv_files
from fashionai.predictions.formats.base import (
    Format,
    PlacedFields,
    PlacedRow,
    PredictedRow,
    check_fields,
    file_name,
    row_of_two_classes,
    written,
)

COLUMNS = ("id", "has_cactus")


def _write(path: Path, rows: Iterable[PredictedRow], threshold: Optional[float]) -> None:
    lines = ((row.image, written(row.probabilities[1])) for row in rows)
    csv_files.write_rows(path, itertools.chain([COLUMNS], lines))


def _read(placed: Iterator[PlacedFields]) -> Iterator[PlacedRow]:
    next(placed)
    for fields, where in placed:
        check_fields(fields, COLUMNS, where)
        yield row_of_two_classes(fields[0], CACTUS, fields[1], where), where


FORMAT = Format(
    name="cactus",
    first_row=f"a header {','.join(COLUMNS)}",
    is_first_row=lambda fields: tuple(fields) == COLUMNS,
    read=_read,
    write=_write,
    image_name=file_name,
)
