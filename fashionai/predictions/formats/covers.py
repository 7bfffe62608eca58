"""Video covers: ``file,probability,is_cat``, the probability of class 1 and the decision."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Optional

from fashionai.errors import DataError, shown
from fashionai.families import COVERS
from fashionai.files.formats import csv_files
from fashionai.predictions.decisions import predicted_labels
from fashionai.predictions.formats.base import (
    Format,
    PlacedFields,
    PlacedRow,
    PredictedRow,
    ThresholdCheck,
    as_written,
    check_fields,
    row_of_two_classes,
    written,
)

COLUMNS = ("file", "probability", "is_cat")


def _write(path: Path, rows: Iterable[PredictedRow], threshold: Optional[float]) -> None:
    csv_files.write_rows(path, itertools.chain([COLUMNS], _lines(rows, threshold)))


def _lines(
    rows: Iterable[PredictedRow], threshold: Optional[float]
) -> Iterator[tuple[str, str, str]]:
    for row in rows:
        values = as_written(row.probabilities)
        (label,) = predicted_labels(COVERS, values[None], threshold)
        yield row.image, written(values[1]), str(label)


def _read(placed: Iterator[PlacedFields]) -> Iterator[PlacedRow]:
    """Rows in which some threshold divides those of is_cat 1 from those of 0."""
    next(placed)
    check = ThresholdCheck("is_cat", "01")
    for fields, where in placed:
        check_fields(fields, COLUMNS, where)
        row = row_of_two_classes(fields[0], COVERS, fields[1], where)
        if fields[2] not in ("0", "1"):
            raise DataError(f"{where}: is_cat is '{shown(fields[2])}', expected 0 or 1")
        check.add(float(row.probabilities[1]), fields[2] == "1", where)
        yield row._replace(class_index=int(fields[2])), where


FORMAT = Format(
    name="covers",
    first_row=f"a header {','.join(COLUMNS)}",
    is_first_row=lambda fields: tuple(fields) == COLUMNS,
    read=_read,
    write=_write,
    takes_threshold=lambda task: True,
)
