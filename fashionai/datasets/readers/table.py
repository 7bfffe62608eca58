"""One's own images in a table: a CSV of image paths and classes, of whatever dialect.

Separated by comma, semicolon or tab, with a header or without, the class as a
label or as one column of 0 and 1 for each class.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from fashionai.datasets.names import SPLITS
from fashionai.datasets.readers.class_names import notes_on_classes, order_classes
from fashionai.datasets.readers.csv_dialect import (
    DIALECT_LINES,
    LABEL_COLUMN_NAMES,
    PATH_COLUMN_NAMES,
    column_position,
    find_delimiter,
    is_existing_file,
    normalized_name,
    parse_lines,
    read_fields,
    read_lines,
)
from fashionai.datasets.readers.given_splits import SPLIT_SPELLINGS, settle_splits
from fashionai.datasets.readers.image_files import ImageFiles, is_image_name, safe_relative_path
from fashionai.datasets.records import DataSet, LabelledImage
from fashionai.errors import ConfigError, DataError, nearest
from fashionai.tasks import Task

ONE_HOT_VALUES = {"0": 0, "0.0": 0, "1": 1, "1.0": 1}


class TableColumns(NamedTuple):
    """Positions in a row; ``classes`` are those of one-hot columns, in place of ``label``."""

    width: int
    has_header: bool
    path: int
    label: Optional[int]
    classes: dict[int, str]
    split: Optional[int]
    group: Optional[int]
    notes: list[str]


class TableRow(NamedTuple):
    """One image of the table; ``image`` is a file below the folder of images."""

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
    """Images of a table in the order of its rows, as a task of that name.

    TableColumns are given by their names in the header or by numbers from 1; those
    of path and label are found by usual names in a header, else they are the
    first and the other one. Paths are relative to ``images_folder`` and may lack
    their suffix. Classes are sorted unless ``classes`` gives their order. Raises
    ConfigError for columns that are not there, DataError with file and line for
    rows that cannot be used.
    """
    files = ImageFiles(images_folder)
    given = {"path": path_column, "label": label_column}
    given.update(split=split_column, group=group_column)
    lines = list(itertools.islice(read_lines(csv_file), DIALECT_LINES))
    delimiter = find_delimiter(lines, files, csv_file)
    columns = _find_columns(parse_lines(lines, delimiter), given, files, csv_file)
    known = order_classes((), classes, "") if classes else ()
    rows, repeated = _distinct_rows(csv_file, delimiter, columns, files, known)
    _check_splits(rows)
    labels = columns.classes.values() if columns.classes else {row.label for row in rows}
    task = Task(name, (), order_classes(labels, classes, str(csv_file)), "table")
    images, split_notes = settle_splits(_records(rows, task, images_folder), str(csv_file))
    used = {image.class_index for image in images if image.split in (None, "train")}
    notes = [*columns.notes, *notes_on_classes(task.classes, used), *split_notes]
    if repeated:
        notes.append(f"{repeated:,} repeated {'row' if repeated == 1 else 'rows'} left out")
    return DataSet(task, images, notes)


def _find_columns(
    sample: Sequence[Sequence[str]],
    given: dict[str, Optional[str]],
    files: ImageFiles,
    csv_file: Path,
) -> TableColumns:
    """Which column holds what, from the options ``given`` by role, else from header or order."""
    first = sample[0]
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
    path_field = first[chosen.get("path", free[0] if free else 0)]
    has_header = by_name or _has_header(first, path_field, files)
    where = f"{csv_file}:1"
    classes: dict[int, str] = {}
    if has_header:
        classes = _choose_by_header(chosen, free, sample, where)
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


def _has_header(first: Sequence[str], path_field: str, files: ImageFiles) -> bool:
    names = {normalized_name(field) for field in first}
    if names & set(PATH_COLUMN_NAMES) and names & set(LABEL_COLUMN_NAMES):
        return True
    return not (is_image_name(path_field) or is_existing_file(path_field, files))


def _usual_column(
    header: Sequence[str], free: Sequence[int], names: Sequence[str], role: str, where: str
) -> int:
    found = [position for position in free if normalized_name(header[position]) in names]
    if len(found) != 1:
        columns = ", ".join(f"'{header[position]}'" for position in found or range(len(header)))
        problem = "several columns may be" if found else "no column is known as"
        raise DataError(
            f"{where}: {problem} the {role}: {columns}",
            "Name them with --path-column and --label-column",
        )
    return found[0]


def _one_hot_columns(
    sample: Sequence[Sequence[str]], free: Sequence[int], where: str
) -> dict[int, str]:
    """The free columns by position when they hold zeros and ones and none is a label, else none."""
    header = sample[0]
    if len(free) < 2 or any(
        normalized_name(header[position]) in LABEL_COLUMN_NAMES for position in free
    ):
        return {}
    rows = [row for row in sample[1:] if len(row) == len(header)]
    if not any(all(row[position] in ONE_HOT_VALUES for position in free) for row in rows):
        return {}
    names = [header[position] for position in free]
    for position, name in zip(free, names):
        if not name or names.count(name) > 1:
            raise DataError(
                f"{where}: column {position + 1} of zeros and ones is named '{name}', "
                "expected the name of a class of its own"
            )
    return dict(zip(free, names))


def _choose_by_header(
    chosen: dict[str, int], free: list[int], sample: Sequence[Sequence[str]], where: str
) -> dict[int, str]:
    """Add path and label by their usual names to ``chosen``; gives the one-hot columns if any."""
    if "path" not in chosen:
        chosen["path"] = _usual_column(sample[0], free, PATH_COLUMN_NAMES, "path", where)
        free.remove(chosen["path"])
    if "label" in chosen:
        return {}
    behind = [position for position in free if position > chosen["path"]]
    classes = _one_hot_columns(sample, behind, where)
    if not classes:
        chosen["label"] = _usual_column(sample[0], free, LABEL_COLUMN_NAMES, "label", where)
    return classes


def _choose_by_order(
    chosen: dict[str, int], free: list[int], first: Sequence[str], where: str
) -> None:
    """Without a header: the first free column is the path, the other one the label."""
    if "path" not in chosen and free:
        chosen["path"] = free.pop(0)
    if "label" not in chosen and len(free) == 1:
        chosen["label"] = free.pop()
    if "path" not in chosen or "label" not in chosen:
        raise DataError(
            f"{where}: no header, and which column is the label is not clear: {', '.join(first)}",
            "Give the numbers of both to --path-column and --label-column",
        )


def _distinct_rows(
    csv_file: Path, delimiter: str, columns: TableColumns, files: ImageFiles, known: Sequence[str]
) -> tuple[list[TableRow], int]:
    """The rows, each image once, and how many rows said the same of an image again."""
    rows: dict[str, TableRow] = {}
    missing: list[tuple[str, str]] = []
    repeated, classes = 0, frozenset(known)
    for fields, line in itertools.islice(
        read_fields(csv_file, delimiter), int(columns.has_header), None
    ):
        where = f"{csv_file}:{line}"
        if len(fields) != columns.width:
            count = f"{len(fields)} field" + ("s" if len(fields) > 1 else "")
            raise DataError(f"{where}: found {count}, expected {columns.width}")
        path = safe_relative_path(fields[columns.path], where, "a path below it")
        label = _read_label(fields, columns, where)
        if classes and label not in classes:
            raise DataError(
                f"{where}: class '{label}' is not one of those given", nearest(label, known)
            )
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
        raise DataError(f"{csv_file}: no rows")
    return list(rows.values()), repeated


def _read_label(fields: Sequence[str], columns: TableColumns, where: str) -> str:
    if columns.label is not None:
        if not fields[columns.label]:
            raise DataError(f"{where}: empty label")
        return fields[columns.label]
    for position, name in columns.classes.items():
        if fields[position] not in ONE_HOT_VALUES:
            raise DataError(f"{where}: column '{name}' is '{fields[position]}', expected 0 or 1")
    ones = [name for position, name in columns.classes.items() if ONE_HOT_VALUES[fields[position]]]
    if len(ones) != 1:
        found = " and ".join(f"'{name}'" for name in ones) or "no class"
        raise DataError(f"{where}: found 1 for {found}, expected one class")
    return ones[0]


def _read_split(value: str, where: str) -> Optional[str]:
    if not value:
        return None
    split = SPLIT_SPELLINGS.get(value.lower())
    if split is None:
        hint = nearest(value, SPLITS)
        raise DataError(f"{where}: unknown split '{value}'", hint)
    return split


def _check_repeated(row: TableRow, first: TableRow) -> None:
    for field in ("label", "split", "group"):
        here, there = getattr(row, field) or "", getattr(first, field) or ""
        if here != there:
            raise DataError(
                f"{row.where}: {row.image} has {field} '{here}' here and '{there}' at {first.where}"
            )


def _check_splits(rows: Sequence[TableRow]) -> None:
    """All rows have a split or none has, and the rows of a group have the same."""
    first = rows[0]
    groups: dict[str, TableRow] = {}
    for row in rows:
        if (row.split is None) != (first.split is None):
            without, other = (row, first) if row.split is None else (first, row)
            raise DataError(
                f"{without.where}: no split, but '{other.split}' at {other.where}; "
                "expected one in every row or in none"
            )
        same = groups.setdefault(row.group, row) if row.group else row
        if same.split != row.split:
            raise DataError(
                f"{row.where}: group '{row.group}' is in {row.split} here "
                f"and in {same.split} at {same.where}"
            )


def _records(rows: Sequence[TableRow], task: Task, images_folder: Path) -> list[LabelledImage]:
    indices = {label: index for index, label in enumerate(task.classes)}
    return [
        LabelledImage(
            source=row.image,
            path=images_folder / row.image,
            content=None,
            class_index=indices[row.label],
            label=row.label,
            where=row.where,
            split=row.split,
            group=row.group,
        )
        for row in rows
    ]
