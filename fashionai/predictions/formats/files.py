"""Prediction files of every format: recognized by the first row, written for the task's family."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Optional, TypeVar

from fashionai import csv_files
from fashionai.datasets.readers.reader import reader_of
from fashionai.errors import ConfigError, DataError
from fashionai.families import FAMILIES
from fashionai.predictions.decisions import check_threshold
from fashionai.predictions.formats import table
from fashionai.predictions.formats.base import (
    Format,
    LabelPrediction,
    PlacedFields,
    PredictedRow,
    RowKey,
)
from fashionai.tasks import Task

FileRow = TypeVar("FileRow", PredictedRow, LabelPrediction)

TABLE = table.FORMAT


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
    form: Format = importlib.import_module(module).FORMAT
    return form


def probability_format(task: Task) -> Format:
    """As format_of, or a table where that would hold no probabilities."""
    form = format_of(task)
    return form if form.read else TABLE


def read_predictions(path: Path) -> list[PredictedRow]:
    """Read a prediction file of any known format, told by its first row.

    A table does not name its task: its rows get one of the header's classes
    (see task_in). Raises DataError with the line for another shape, for values
    that are no probabilities of sum 1, for a row that occurs twice, and for a
    file that holds predicted labels only.
    """
    form, placed = _open(path)
    if form.read is None:
        raise DataError(
            f"{path}: holds one class per row, not the probabilities of all classes",
            "Write tables with: fashionai predict --format table",
        )
    return _distinct(form.read(placed), path)


def read_predicted_labels(path: Path) -> Optional[list[LabelPrediction]]:
    """The rows of a file that holds predicted labels; None when it holds probabilities."""
    form, placed = _open(path)
    return None if form.read_labels is None else _distinct(form.read_labels(placed), path)


def write_predictions(
    path: Path,
    rows: Sequence[PredictedRow],
    form: Optional[Format] = None,
    threshold: Optional[float] = None,
) -> None:
    """Write rows in a format, that of their task's family unless given, atomically.

    Probabilities have 8 decimals. Raises as check_expressible does.
    """
    form = form or format_of(rows[0].task)
    check_expressible(form, list(dict.fromkeys(row.task for row in rows)), threshold)
    form.write(path, rows, threshold)


def check_expressible(form: Format, tasks: Sequence[Task], threshold: Optional[float]) -> None:
    """DataError for several tasks in a format that holds one, ConfigError for a vain threshold."""
    if len(tasks) > 1 and not form.holds_tasks:
        names = ", ".join(task.name for task in tasks)
        raise DataError(
            f"a prediction file of this kind holds the rows of one task, found {names}",
            "Give --task",
        )
    if threshold is not None:
        if not form.takes_threshold:
            raise ConfigError(
                f"--threshold: changes nothing in {form.first_row}", "evaluate takes it"
            )
        for task in tasks:
            check_threshold(task)


def image_names(form: Format, task: Task, paths: Sequence[str]) -> list[str]:
    """What a prediction file calls the images that were asked for by these paths.

    Raises DataError when two have the same name there.
    """
    return _distinct_names(form, task, paths, paths, "Leave one of them out")


def source_names(form: Format, task: Task, sources: Sequence[str]) -> list[str]:
    """As image_names, of images as a manifest's ``source`` names them."""
    paths = [reader_of(task).image_name(source) for source in sources]
    hint = "Leave one of them out of the label files and prepare again"
    return _distinct_names(form, task, paths, sources, hint)


def _distinct_names(
    form: Format, task: Task, paths: Sequence[str], known_as: Sequence[str], hint: str
) -> list[str]:
    names = [form.image_name(path) for path in paths]
    first: dict[str, str] = {}
    for name, image in zip(names, known_as):
        if name in first:
            raise DataError(
                f"{task.name}: {first[name]} and {image} have one name in prediction files",
                hint,
            )
        first[name] = image
    return names


def _open(path: Path) -> tuple[Format, Iterator[PlacedFields]]:
    placed = csv_files.read_rows(path)
    first = next(placed, None)
    if first is None:
        raise DataError(f"{path}: no rows")
    fields, where = first
    for form in formats():
        if form.is_first_row(fields):
            return form, itertools.chain([first], placed)
    shapes = "; ".join(form.first_row for form in formats())
    raise DataError(f"{where}: not a prediction file, expected one of: {shapes}")


def _distinct(placed: Iterable[tuple[FileRow, str]], path: Path) -> list[FileRow]:
    rows: list[FileRow] = []
    places: dict[RowKey, str] = {}
    for row, where in placed:
        if not row.image:
            raise DataError(f"{where}: no image path")
        earlier = places.setdefault(row.key, where)
        if earlier != where:
            raise DataError(f"{where}: {row.image} was already predicted at {earlier}")
        rows.append(row)
    if not rows:
        raise DataError(f"{path}: no rows below its header")
    return rows
