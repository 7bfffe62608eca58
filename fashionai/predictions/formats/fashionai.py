"""FashionAI attributes: rows ``image,task,p0;p1;...`` without a header, all tasks in one file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Optional

from fashionai.errors import ConfigError, DataError, counted, shown
from fashionai.families import find_known_task
from fashionai.files.formats import csv_files
from fashionai.predictions.formats.base import (
    Format,
    PlacedFields,
    PlacedRow,
    PredictedRow,
    check_fields,
    parse_distribution,
    written,
)

COLUMNS = ("image", "task", "p0;p1;...")


def _write(path: Path, rows: Iterable[PredictedRow], threshold: Optional[float]) -> None:
    csv_files.write_rows(
        path,
        (
            (row.image, row.task.name, ";".join(written(value) for value in row.probabilities))
            for row in rows
        ),
    )


def _read(placed: Iterator[PlacedFields]) -> Iterator[PlacedRow]:
    for fields, where in placed:
        check_fields(fields, COLUMNS, where)
        image, task_name, numbers = fields
        try:
            task = find_known_task(shown(task_name))
        except ConfigError as error:
            raise DataError(f"{where}: {error}") from None
        values = numbers.split(";")
        if len(values) != len(task.classes):
            raise DataError(
                f"{where}: found {counted(len(values), 'probability')}, "
                f"expected {len(task.classes)} for {task.name}"
            )
        yield PredictedRow(image, task, parse_distribution(values, where)), where


FORMAT = Format(
    name="fashionai",
    first_row=f"rows {','.join(COLUMNS)}",
    is_first_row=lambda fields: ";" in fields[-1],
    read=_read,
    write=_write,
    holds_tasks=True,
)
