"""The user's own images in a table: a CSV file of image paths and classes, of any dialect.

The delimiter is a comma, semicolon or tab, and the header is optional. The class is a label, or
it is one-hot: one column of zeros and ones per class.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from fashionai.datasets.names import SPLITS
from fashionai.datasets.readers.class_names import (
    hint_at_given_class,
    names_of_classes,
    notes_on_classes,
    order_classes,
)
from fashionai.datasets.readers.csv_dialect import (
    LABEL_COLUMN_NAMES,
    PATH_COLUMN_NAMES,
    TableFile,
    column_position,
    find_delimiter,
    first_rows,
    is_existing_file,
    listed,
    normalized_name,
    note_on_delimiter,
    read_table_file,
    read_table_rows,
)
from fashionai.datasets.readers.given_splits import SPLIT_SPELLINGS, settle_splits
from fashionai.datasets.readers.header import is_column_numbers, is_header, note_on_header
from fashionai.datasets.readers.image_files import ImageFiles
from fashionai.datasets.records import DataSet, LabelledImage
from fashionai.errors import ConfigError, DataError, counted, nearest, shown
from fashionai.files.names import comparable
from fashionai.tasks import Task

# The values of one-hot columns in lower case.
ONE_HOT_VALUES = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}


class TableColumns(NamedTuple):
    """Which columns hold what, as positions from 0 in a row of ``width`` fields.

    ``classes`` maps the positions of one-hot columns to their classes; then ``label`` is None.
    ``notes`` are lines for the user.
    """

    width: int
    has_header: bool
    path: int
    label: Optional[int]
    classes: dict[int, str]
    split: Optional[int]
    group: Optional[int]
    notes: list[str]


class TableRow(NamedTuple):
    """One row of the table; ``image`` is a path relative to the folder of the images."""

    image: str
    label: str
    split: Optional[str]
    group: str
    where: str


def read_table(
    name: str,
    csv_file: Path,
    images_folder: Path,
    *,
    path_column: Optional[str] = None,
    label_column: Optional[str] = None,
    split_column: Optional[str] = None,
    group_column: Optional[str] = None,
    classes: Sequence[str] = (),
) -> DataSet:
    """Read the images of a table, in the order of its rows, as a new task.

    A column is given by its name in the header or by its number from 1. The columns of paths
    and labels need not be given: with a header they are found by usual names, and without one
    the first of two columns holds the paths. Paths are relative to ``images_folder`` and may
    lack their suffix. The classes are in the order of ``classes`` or else sorted. Raises
    ConfigError for columns that are not found, and DataError with file and line for rows that
    cannot be used.
    """
    files = ImageFiles(images_folder)
    given = {"path": path_column, "label": label_column}
    given.update(split=split_column, group=group_column)
    file = read_table_file(csv_file)
    delimiter = find_delimiter(file, files)
    columns = _find_columns(first_rows(file, delimiter), given, files, csv_file)
    rows, repeated = _distinct_rows(file, delimiter, columns, files)
    _check_splits(rows)
    known = [comparable(name) for name in classes]
    labels = columns.classes.values() if columns.classes else {row.label for row in rows}
    names = names_of_classes(labels, known)
    task = Task(name, (), order_classes(names.values(), known, str(csv_file)), "table")
    _check_classes(rows, names, task)
    records = _records(rows, names, task, images_folder)
    images, split_notes = settle_splits(records, str(csv_file))
    used = {image.class_index for image in images if image.split in (None, "train")}
    notes = [*columns.notes, *notes_on_classes(task.classes, used), *split_notes]
    if repeated:
        notes.append(f"{repeated:,} repeated {'row' if repeated == 1 else 'rows'} skipped")
    return DataSet(task, images, notes, guesses=_guesses(file, delimiter, columns))


def _guesses(file: TableFile, delimiter: str, columns: TableColumns) -> list[str]:
    """Return lines for the user about how the file was read."""
    first = first_rows(file, delimiter)[0]
    return [
        *file.notes,
        note_on_delimiter(file, delimiter),
        note_on_header(file.path, first, columns.has_header),
        _note_on_columns(file.path, first, columns),
    ]


def _note_on_columns(csv_file: Path, first: Sequence[str], columns: TableColumns) -> str:
    """Return a line for the user about which columns hold the paths and the labels."""

    def named(position: int) -> str:
        name = f" '{shown(first[position])}'" if columns.has_header else ""
        return f"column {position + 1}{name}"

    if columns.label is not None:
        labels = f"labels in {named(columns.label)}"
    else:
        labels = f"one-hot labels in {counted(len(columns.classes), 'column')}: " + listed(
            list(columns.classes.values())
        )
    return f"{csv_file}: paths in {named(columns.path)}, {labels}"


def _find_columns(
    first_rows: Sequence[Sequence[str]],
    given: dict[str, Optional[str]],
    files: ImageFiles,
    csv_file: Path,
) -> TableColumns:
    """Return which columns hold what: those ``given`` by role, else by the header or the order.

    ``first_rows`` are the first rows of the file, with the header if there is one.
    """
    first = first_rows[0]
    chosen = {
        role: column_position(role, column, first, csv_file)
        for role, column in given.items()
        if column is not None
    }
    for (role, column), (other, same) in itertools.combinations(chosen.items(), 2):
        if column == same:
            raise ConfigError(f"--{role}-column and --{other}-column: both are column {column + 1}")
    free = [position for position in range(len(first)) if position not in chosen.values()]
    by_name = any(column and not column.isdecimal() for column in given.values())
    path = chosen.get("path", free[0] if free else 0)
    others = [position for position in free if position != path]
    label = chosen.get("label", others[0] if len(others) == 1 else None)
    has_header = by_name or is_header(
        first_rows, path, label, lambda field: is_existing_file(field, files)
    )
    where = f"{csv_file}:1"
    classes: dict[int, str] = {}
    if has_header and not (is_column_numbers(first) and len(others) == 1):
        classes = _choose_by_header(chosen, free, first_rows, where)
    else:
        _choose_by_order(chosen, free, first, where)
    notes = [
        f"column '{first[position]}' is not used; --{role}-column {first[position]} would use it"
        for position in free
        for role in ("split", "group")
        if has_header and role not in chosen and normalized_name(first[position]) == role
    ]
    label, split, group = (chosen.get(role) for role in ("label", "split", "group"))
    return TableColumns(len(first), has_header, chosen["path"], label, classes, split, group, notes)


def _usual_column(
    header: Sequence[str], free: Sequence[int], names: Sequence[str], role: str, where: str
) -> int:
    """Return the one free column whose name is among the usual ``names`` of a role."""
    found = [position for position in free if normalized_name(header[position]) in names]
    if len(found) != 1:
        columns = listed([header[position] for position in found or range(len(header))])
        problem = f"several {role} columns" if found else f"no {role} column among"
        raise DataError(
            f"{where}: found {problem}: {columns}",
            "Name them with --path-column and --label-column",
        )
    return found[0]


def _one_hot_columns(
    first_rows: Sequence[Sequence[str]], free: Sequence[int], where: str
) -> dict[int, str]:
    """Return the classes of one-hot columns by position; empty when there are no such columns.

    All ``free`` columns are one-hot when some row holds zeros and ones in all of them and none
    has the usual name of a label column.
    """
    header = first_rows[0]
    if len(free) < 2 or any(
        normalized_name(header[position]) in LABEL_COLUMN_NAMES for position in free
    ):
        return {}
    rows = [row for row in first_rows[1:] if len(row) == len(header)]
    if not any(all(row[at].lower() in ONE_HOT_VALUES for at in free) for row in rows):
        return {}
    names = [header[position] for position in free]
    for position, name in zip(free, names):
        if not name or names.count(name) > 1:
            raise DataError(
                f"{where}: one-hot column {position + 1} is named '{shown(name)}', "
                "expected a class name that no other column has"
            )
    return dict(zip(free, names))


def _choose_by_header(
    chosen: dict[str, int], free: list[int], first_rows: Sequence[Sequence[str]], where: str
) -> dict[int, str]:
    """Add the path and label columns to ``chosen`` by their names; return the one-hot columns."""
    if "path" not in chosen:
        chosen["path"] = _usual_column(first_rows[0], free, PATH_COLUMN_NAMES, "path", where)
        free.remove(chosen["path"])
    if "label" in chosen:
        return {}
    after_path = [position for position in free if position > chosen["path"]]
    classes = _one_hot_columns(first_rows, after_path, where)
    if not classes:
        chosen["label"] = _usual_column(first_rows[0], free, LABEL_COLUMN_NAMES, "label", where)
    return classes


def _choose_by_order(
    chosen: dict[str, int], free: list[int], first: Sequence[str], where: str
) -> None:
    """Add the first free column as the path to ``chosen``, and the only other one as the label."""
    if "path" not in chosen and free:
        chosen["path"] = free.pop(0)
    if "label" not in chosen and len(free) == 1:
        chosen["label"] = free.pop()
    if "path" not in chosen or "label" not in chosen:
        raise DataError(
            f"{where}: cannot tell without a header which columns hold paths and labels: "
            f"{', '.join(map(shown, first[:12]))}",
            "Give their numbers with --path-column and --label-column",
        )


def _distinct_rows(
    file: TableFile, delimiter: str, columns: TableColumns, files: ImageFiles
) -> tuple[list[TableRow], int]:
    """Return one row per image, and how many rows repeat another row.

    Raises DataError for a row that cannot be used, and for two rows of one image that differ.
    """
    rows: dict[str, TableRow] = {}
    missing: list[tuple[str, str]] = []
    repeated = 0
    for fields, where in read_table_rows(file, delimiter, columns.width, columns.has_header):
        path = files.relative_path(fields[columns.path], where, "a path below it")
        label = _read_label(fields, columns, where)
        image = files.find(path, where)
        if image is None:
            missing.append((path, where))
            continue
        split = None if columns.split is None else _read_split(fields[columns.split], where)
        group = "" if columns.group is None else fields[columns.group]
        row = TableRow(image, label, split, group, where)
        first = rows.setdefault(image, row)
        if first is not row:
            _check_repeated(row, first)
            repeated += 1
    if missing:
        raise files.missing(missing)
    if not rows:
        raise DataError(f"{file.path}: no rows")
    return list(rows.values()), repeated


def _read_label(fields: Sequence[str], columns: TableColumns, where: str) -> str:
    """Return the text of the label column, or the class whose one-hot column is 1."""
    if columns.label is not None:
        if not fields[columns.label]:
            raise DataError(f"{where}: empty label")
        return fields[columns.label]
    for position, name in columns.classes.items():
        if fields[position].lower() not in ONE_HOT_VALUES:
            found = shown(fields[position])
            raise DataError(f"{where}: column '{name}' is '{found}', expected 0 or 1")
    ones = [name for at, name in columns.classes.items() if ONE_HOT_VALUES[fields[at].lower()]]
    if len(ones) != 1:
        found = " and ".join(f"'{name}'" for name in ones) or "no class"
        raise DataError(f"{where}: found a 1 for {found}, expected a 1 for exactly one class")
    return ones[0]


def _read_split(value: str, where: str) -> Optional[str]:
    if not value:
        return None
    split = SPLIT_SPELLINGS.get(value.lower())
    if split is None:
        hint = nearest(value, SPLITS)
        raise DataError(f"{where}: unknown split '{shown(value)}'", hint)
    return split


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
            path=images_folder / row.image,
            content=None,
            class_index=indices[names[row.label]],
            label=row.label,
            where=row.where,
            split=row.split,
            group=row.group,
        )
        for row in rows
    ]
