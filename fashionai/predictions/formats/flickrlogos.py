"""FlickrLogos-32: rows ``file,class,confidence`` as its official evaluation reads them.

The file is the image's name without .jpg, the class in lower case. Such a file
holds an answer a row: the probabilities of the other classes are not in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Optional

import numpy as np

from fashionai import csv_files
from fashionai.errors import DataError, nearest
from fashionai.predictions.formats.base import (
    AnsweredRow,
    Format,
    PlacedFields,
    PredictedRow,
    as_written,
    check_fields,
    file_name,
    parse_probabilities,
    written,
)
from fashionai.predictions.thresholds import answered_labels
from fashionai.tasks import LOGOS

COLUMNS = ("file", "class", "confidence")
LABELS = {label.lower(): label for label in LOGOS.labels}


def _write(path: Path, rows: Sequence[PredictedRow], threshold: Optional[float]) -> None:
    task = rows[0].task
    probabilities = as_written(np.array([row.probabilities for row in rows]))
    answers = answered_labels(task, probabilities, threshold)
    lines = []
    for row, values, answer in zip(rows, probabilities, answers):
        # That it is none of the classes is as sure as the best of them is not.
        confidence = values[answer] if answer < len(values) else 1 - values.max()
        lines.append((row.image, task.labels[answer].lower(), written(confidence)))
    csv_files.write_rows(path, lines)


def read(placed: Iterator[PlacedFields]) -> Iterator[tuple[AnsweredRow, str]]:
    """Every row and its place; DataError for unknown classes and what is no confidence."""
    for fields, where in placed:
        check_fields(fields, COLUMNS, where)
        image, label, confidence = fields
        if label.lower() not in LABELS:
            raise DataError(f"{where}: unknown class '{label}'. {nearest(label, LABELS)}")
        (value,) = parse_probabilities([confidence], where)
        yield AnsweredRow(image, LOGOS, LABELS[label.lower()], float(value)), where


FORMAT = Format(
    name="flickrlogos",
    first_row=f"rows {','.join(COLUMNS)} of FlickrLogos-32",
    is_first_row=lambda fields: len(fields) == len(COLUMNS) and fields[1].lower() in LABELS,
    read=None,
    write=_write,
    image_name=lambda path: file_name(path).rpartition(".")[0] or file_name(path),
    takes_threshold=True,
)
