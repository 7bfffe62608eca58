"""Prediction files of every format: recognized by the first row, written for the task's family."""

from __future__ import annotations

import importlib
import itertools
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Optional

from fashionai.datasets.readers.reader import reader_of
from fashionai.errors import ConfigError, DataError, shown
from fashionai.families import FAMILIES
from fashionai.files.formats import csv_files
from fashionai.files.names import comparable, is_writable_as_text, with_escaped_bytes
from fashionai.files.outputs import Kind
from fashionai.predictions.decisions import check_threshold
from fashionai.predictions.formats import table
from fashionai.predictions.formats.base import (
    DECIMALS,
    FileRow,
    Format,
    LabelPrediction,
    PlacedFields,
    PredictedRow,
    RowKey,
)
from fashionai.tasks import Task

logger = logging.getLogger(__name__)

TABLE = table.FORMAT

# In bytes: some 30 million rows of 12 classes.
LARGEST_FILE = 2**32
# A probability as this project writes it. Label files and the examples of competitions, which
# may have the same header, have fewer digits.
WRITTEN = re.compile(rf"[01]\.\d{{{DECIMALS}}}")


def _is_own(path: Path) -> bool:
    """Whether a file begins as write_predictions writes it."""
    rows = csv_files.first_rows(path, 2)
    if not rows or not any(file_format.is_first_row(rows[0]) for file_format in formats()):
        return False
    return any(WRITTEN.fullmatch(part) for field in rows[-1] for part in field.split(";"))


PREDICTIONS = Kind("a prediction file", _is_own)


def format_of(task: Task) -> Format:
    """The format of the task's family; a table where the family has none of its own."""
    family = FAMILIES.get(task.family)
    return TABLE if family is None or family.format is None else _load(family.format)


def formats() -> Iterator[Format]:
    """All formats: tables, whose header is the most specific first row, then the families' own."""
    yield TABLE
    for family in FAMILIES.values():
        if family.format is not None:
            yield _load(family.format)


def _load(module: str) -> Format:
    file_format: Format = importlib.import_module(module).FORMAT
    return file_format


def probability_format(task: Task) -> Format:
    """The format of the task's family, or a table where that format holds no probabilities."""
    file_format = format_of(task)
    return file_format if file_format.read else TABLE


def read_predictions(path: Path) -> list[PredictedRow]:
    """Read a prediction file of any known format, which its first row decides.

    A table does not name its task: its rows get a task without a name, with the classes of
    the header. Raises DataError with the line for a row of another shape, for probabilities
    that do not sum to 1, for a row that occurs twice, and for a file of predicted labels.
    """
    file_format, placed = _open(path)
    if file_format.read is None:
        raise DataError(
            f"{path}: holds one class per row, not the probabilities of all classes",
            "Write tables with: fashionai predict --format table",
        )
    return _distinct(file_format.read(placed), path)


def read_predicted_labels(path: Path) -> Optional[list[LabelPrediction]]:
    """The rows of a file that holds predicted labels; None when it holds probabilities."""
    file_format, placed = _open(path)
    return (
        None
        if file_format.read_label_predictions is None
        else _distinct(file_format.read_label_predictions(placed), path)
    )


def write_predictions(
    path: Path,
    rows: Sequence[PredictedRow],
    file_format: Optional[Format] = None,
    threshold: Optional[float] = None,
) -> None:
    """Write a prediction file atomically, in the format of the tasks' family unless one is given.

    Probabilities have 8 decimals. Raises the errors of check_expressible.
    """
    tasks = list(dict.fromkeys(row.task for row in rows))
    stream_predictions(path, rows, tasks, file_format or format_of(tasks[0]), threshold)


def stream_predictions(
    path: Path,
    rows: Iterable[PredictedRow],
    tasks: Sequence[Task],
    file_format: Format,
    threshold: Optional[float] = None,
) -> None:
    """As write_predictions, of rows of these tasks that need not be in memory at once."""
    check_expressible(file_format, tasks, threshold)
    file_format.write(path, rows, threshold)


def check_expressible(
    file_format: Format, tasks: Sequence[Task], threshold: Optional[float]
) -> None:
    """DataError for too many tasks for the format, ConfigError for a threshold without effect."""
    if len(tasks) > 1 and not file_format.holds_tasks:
        names = ", ".join(task.name for task in tasks)
        raise DataError(
            f"a prediction file of this kind holds the rows of one task, found {names}",
            "Give --task",
        )
    if threshold is not None:
        for task in tasks:
            check_threshold(task)
        if not all(map(file_format.takes_threshold, tasks)):
            raise ConfigError(
                "--threshold: has no effect, because this prediction file holds probabilities "
                "and no label that a threshold decides",
                "Give --threshold to fashionai evaluate instead",
            )


def image_names(file_format: Format, task: Task, paths: Sequence[str]) -> list[str]:
    """The names of images in a prediction file; ``paths`` are those of the question file.

    Raises DataError when two images have the same name there, and for names that are not UTF-8.
    """
    return _distinct_names(file_format, task, paths, paths, "Leave one of them out")


def source_names(file_format: Format, task: Task, sources: Sequence[str]) -> list[str]:
    """The names of images in a prediction file; ``sources`` are those of a manifest."""
    paths = [reader_of(task).image_name(source) for source in sources]
    hint = "Leave one of them out of the label files and prepare again"
    return _distinct_names(file_format, task, paths, sources, hint)


def _distinct_names(
    file_format: Format, task: Task, paths: Sequence[str], known_as: Sequence[str], hint: str
) -> list[str]:
    for image in known_as:
        if not is_writable_as_text(image):
            raise DataError(
                f"{task.name}: the name of {with_escaped_bytes(image)} is not UTF-8 text",
                "Rename it",
            )
    names = [file_format.image_name(path) for path in paths]
    # As readers of the file tell names apart.
    read = list(map(comparable, names))
    if len(set(read)) == len(read):
        return names
    first: dict[str, str] = {}
    for name, image in zip(read, known_as):
        if name in first:
            raise DataError(
                f"{task.name}: {first[name]} and {image} have the same name in prediction files",
                hint,
            )
        first[name] = image
    return names


def _open(path: Path) -> tuple[Format, Iterator[PlacedFields]]:
    placed = csv_files.read_csv_rows(path, LARGEST_FILE)
    first = next(placed, None)
    if first is None:
        raise DataError(f"{path}: no rows")
    for note in csv_files.note_on_encoding(path, LARGEST_FILE):
        logger.info(note)
    fields, where = first
    for file_format in formats():
        if file_format.is_first_row(fields):
            return file_format, itertools.chain([first], placed)
    shapes = "; ".join(file_format.first_row for file_format in formats())
    raise DataError(f"{where}: not a prediction file, expected one of: {shapes}")


def _distinct(placed: Iterable[tuple[FileRow, str]], path: Path) -> list[FileRow]:
    rows: list[FileRow] = []
    places: dict[RowKey, str] = {}
    for row, where in placed:
        if not row.image:
            raise DataError(f"{where}: no image path")
        earlier = places.setdefault(row.key, where)
        if earlier != where:
            raise DataError(f"{where}: {shown(row.image)} was already predicted at {earlier}")
        rows.append(row)
    if not rows:
        raise DataError(f"{path}: no rows below its header")
    return rows
