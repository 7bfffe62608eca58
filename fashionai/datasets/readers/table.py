"""The user's own images in a table: a CSV file of image paths and classes, of any dialect.

The delimiter is a comma, semicolon or tab, and the header is optional. The class is a label, or
it is one-hot: one column of zeros and ones per class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from fashionai.datasets.readers.class_names import (
    hint_at_given_class,
    names_of_classes,
    notes_on_classes,
    order_classes,
)
from fashionai.datasets.readers.given_splits import settle_splits
from fashionai.datasets.readers.image_files import ImageFiles
from fashionai.datasets.readers.tables.csv_dialect import is_existing_file
from fashionai.datasets.readers.tables.table_columns import KnownNames, Table, open_table
from fashionai.datasets.records import DataSet, LabelledImage
from fashionai.errors import DataError, shown
from fashionai.files.names import comparable
from fashionai.tasks import Task

# More missing images are due to a wrong folder, not to single files that were lost.
MOST_MISSING = 0.9


class TableRow(NamedTuple):
    """One row of the table; ``image`` is a path relative to the folder of the images."""

    image: str
    label: str
    split: Optional[str]
    group: str
    where: str
    exists: bool


def read_table(
    name: str,
    csv_file: Path,
    images_folder: Optional[Path],
    *,
    path_column: Optional[str] = None,
    label_column: Optional[str] = None,
    split_column: Optional[str] = None,
    group_column: Optional[str] = None,
    classes: Sequence[str] = (),
    skip_missing: bool = False,
) -> DataSet:
    """Read the images of a table, in the order of its rows, as a new task.

    A column is given by its name in the header or by its number from 1. The columns of paths
    and labels need not be given: with a header they are found by usual names, and without one
    the first of two columns holds the paths. Paths are relative to ``images_folder``, without it
    to the file's own folder, and may lack their suffix. The classes are in the order of
    ``classes`` or else sorted. With ``skip_missing`` images that do not exist have neither path nor
    content, unless more than MOST_MISSING are missing. Raises ConfigError for columns that are not
    found, and DataError with file and line for rows that cannot be used.
    """
    files = ImageFiles(images_folder or csv_file.parent)
    given = {"path": path_column, "label": label_column}
    given.update(split=split_column, group=group_column)
    known = [comparable(name) for name in classes]
    names_known = KnownNames(lambda field: is_existing_file(field, files), classes=known)
    table = open_table(csv_file, given, names_known)
    columns = table.columns
    rows, missing, repeated = _distinct_rows(table, files)
    can_skip = sum(not row.exists for row in rows) <= MOST_MISSING * len(rows)
    if missing and not (skip_missing and can_skip):
        error = _missing_error(missing, files, csv_file, images_folder, can_skip)
        if skip_missing:
            text = f"More than {100 * MOST_MISSING:.0f} % are missing, so that none is left out"
            error = DataError(error.message, f"{text}. {error.hint}".rstrip(". "))
        raise error
    if not rows:
        raise DataError(f"{csv_file}: no rows")
    _check_splits(rows)
    labels = columns.classes.values() if columns.classes else {row.label for row in rows}
    names = names_of_classes(labels, known)
    task = Task(name, (), order_classes(names.values(), known, str(csv_file)), "table")
    _check_classes(rows, names, task)
    records = _records(rows, names, task, files.root)
    images, split_notes = settle_splits(records, str(csv_file))
    notes = [*columns.notes, *notes_on_classes(task.classes), *split_notes]
    if repeated:
        notes.append(f"{repeated:,} repeated {'row' if repeated == 1 else 'rows'} skipped")
    guesses = table.guesses()
    if images_folder is None:
        guesses.append(f"{csv_file}: paths are relative to its folder; --images names another one")
    return DataSet(task, images, notes, guesses=guesses)


def _missing_error(
    missing: Sequence[tuple[str, str]],
    files: ImageFiles,
    csv_file: Path,
    images_folder: Optional[Path],
    can_skip: bool,
) -> DataError:
    """The error for missing images, which are pairs of path and place, with what may help."""
    error = files.missing(missing)
    if error.hint:
        return error
    beside = csv_file.parent / missing[0][0]
    if images_folder is not None and is_existing_file(missing[0][0], ImageFiles(csv_file.parent)):
        return DataError(error.message, f"Leave out --images: {beside} exists")
    if can_skip:
        return DataError(error.message, "--skip-bad leaves out missing images")
    return error if images_folder is not None else files.missing_of_user(missing)


def _distinct_rows(
    table: Table, files: ImageFiles
) -> tuple[list[TableRow], list[tuple[str, str]], int]:
    """Return one row per image, the path and place of missing images, and how many rows repeat.

    Raises DataError for a row that cannot be used, and for two rows of one image that differ.
    """
    rows: dict[str, TableRow] = {}
    missing: list[tuple[str, str]] = []
    repeated = 0
    columns = table.columns
    for fields, where in table.rows():
        path = files.relative_path(fields[columns.path], where, "a path below it")
        label = table.label(fields, where)
        image = files.find(path, where)
        if image is None:
            missing.append((path, where))
        group = "" if columns.group is None else fields[columns.group]
        split = table.split(fields, where)
        row = TableRow(image or path, label, split, group, where, image is not None)
        first = rows.setdefault(row.image, row)
        if first is not row:
            _check_repeated(row, first)
            repeated += 1
    return list(rows.values()), missing, repeated


def _check_repeated(row: TableRow, first: TableRow) -> None:
    """Raise DataError when two rows of one image differ in label, split or group."""
    for field in ("label", "split", "group"):
        here, there = getattr(row, field) or "", getattr(first, field) or ""
        if here != there:
            here, there = shown(here), shown(there)
            raise DataError(
                f"{row.where}: {row.image} has {field} '{here}' here and '{there}' at {first.where}"
            )


def _check_splits(rows: Sequence[TableRow]) -> None:
    """Raise DataError when only some rows have a split, or when a group is in several splits."""
    first = rows[0]
    groups: dict[str, TableRow] = {}
    for row in rows:
        if (row.split is None) != (first.split is None):
            without, other = (row, first) if row.split is None else (first, row)
            raise DataError(
                f"{without.where}: no split, but '{other.split}' at {other.where}; "
                "expected a split in every row or in none"
            )
        same = groups.setdefault(row.group, row) if row.group else row
        if same.split != row.split:
            raise DataError(
                f"{row.where}: group '{row.group}' is in {row.split} here "
                f"and in {same.split} at {same.where}"
            )


def _check_classes(rows: Sequence[TableRow], names: Mapping[str, str], task: Task) -> None:
    for row in rows:
        if names[row.label] not in task.classes:
            raise DataError(
                f"{row.where}: class '{shown(row.label)}' is not one of the given classes",
                hint_at_given_class(row.label, task.classes, names.values()),
            )


def _records(
    rows: Sequence[TableRow], names: Mapping[str, str], task: Task, images_folder: Path
) -> list[LabelledImage]:
    indices = {label: index for index, label in enumerate(task.classes)}
    return [
        LabelledImage(
            source=row.image,
            path=images_folder / row.image if row.exists else None,
            content=None,
            class_index=indices[names[row.label]],
            label=row.label,
            where=row.where,
            split=row.split,
            group=row.group,
        )
        for row in rows
    ]
