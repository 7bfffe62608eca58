"""FlickrLogos-32: rows ``file,class,confidence`` as its official evaluation reads them.

The file is the image's name without .jpg, the class in lower case. Such a file holds
one predicted label per row, without the probabilities of the other classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Optional

from fashionai.errors import DataError, nearest, shown
from fashionai.families import LOGOS
from fashionai.files.formats import csv_files
from fashionai.predictions.decisions import predicted_labels
from fashionai.predictions.formats.base import (
    Format,
    LabelPrediction,
    PlacedFields,
    PlacedLabel,
    PredictedRow,
    as_written,
    check_fields,
    file_name,
    parse_probabilities,
    written,
)

COLUMNS = ("file", "class", "confidence")
LABELS = {label.lower(): label for label in LOGOS.labels}


def _write(path: Path, rows: Iterable[PredictedRow], threshold: Optional[float]) -> None:
    csv_files.write_rows(path, _lines(rows, threshold))


def _lines(
    rows: Iterable[PredictedRow], threshold: Optional[float]
) -> Iterator[tuple[str, str, str]]:
    for row in rows:
        values = as_written(row.probabilities)
        (label,) = predicted_labels(row.task, values[None], threshold)
        # The confidence of a held-out background is one minus that of the best class.
        confidence = values[label] if label < len(values) else 1 - values.max()
        yield row.image, row.task.labels[label].lower(), written(confidence)


def _read_label_predictions(placed: Iterator[PlacedFields]) -> Iterator[PlacedLabel]:
    """Every row and its place; DataError for an unknown class or a wrong confidence."""
    for fields, where in placed:
        check_fields(fields, COLUMNS, where)
        image, label, confidence = fields
        if label.lower() not in LABELS:
            raise DataError(f"{where}: unknown class '{shown(label)}'. {nearest(label, LABELS)}")
        (value,) = parse_probabilities([confidence], where)
        yield LabelPrediction(image, LOGOS, LABELS[label.lower()], float(value)), where


FORMAT = Format(
    name="flickrlogos",
    first_row=f"rows {','.join(COLUMNS)} of FlickrLogos-32",
    is_first_row=lambda fields: len(fields) == len(COLUMNS) and fields[1].lower() in LABELS,
    read_label_predictions=_read_label_predictions,
    write=_write,
    image_name=lambda path: file_name(path).rpartition(".")[0] or file_name(path),
    takes_threshold=lambda task: True,
)
