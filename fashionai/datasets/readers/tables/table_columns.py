"""Which columns of a CSV file of paths and classes hold what. Every reader of labels asks here.

The class is a label in one column, or it is one-hot: one column of zeros and ones per class.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from fashionai.datasets.names import SPLITS
from fashionai.datasets.readers.given_splits import SPLIT_SPELLINGS
from fashionai.datasets.readers.tables.csv_dialect import (
    LABEL_COLUMN_NAMES,
    PATH_COLUMN_NAMES,
    TableFile,
    column_position,
    find_delimiter,
    first_rows,
    listed,
    normalized_name,
    note_on_delimiter,
    read_table_file,
    read_table_rows,
)
from fashionai.datasets.readers.tables.header import is_column_numbers, is_header, note_on_header
from fashionai.errors import ConfigError, DataError, counted, nearest, shown
from fashionai.files.names import comparable

# What a column can hold besides a one-hot class; the options are --path-column and so on.
COLUMN_ROLES = ("path", "label", "split", "group")
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


class KnownNames(NamedTuple):
    """What a caller knows before it reads a table.

    ``exists`` tells whether a field is the path of an image. ``label_columns`` are usual names of
    the column of labels. ``classes`` are the names of the classes; without any, they are unknown.
    """

    exists: Callable[[str], bool]
    label_columns: Collection[str] = LABEL_COLUMN_NAMES
    classes: Collection[str] = ()


class Table(NamedTuple):
    """A CSV file of paths and classes, with its delimiter and columns."""

    file: TableFile
    delimiter: str
    columns: TableColumns

    def rows(self) -> Iterator[tuple[list[str], str]]:
        """Yield the fields and the place (file:line) of each row; errors of read_table_rows."""
        width, has_header = self.columns.width, self.columns.has_header
        yield from read_table_rows(self.file, self.delimiter, width, has_header)

    def label(self, fields: Sequence[str], where: str) -> str:
        """Return the text of the label column, or the class whose one-hot column is 1."""
        return _read_label(fields, self.columns, where)

    def split(self, fields: Sequence[str], where: str) -> Optional[str]:
        """Return the split of a row; None without a column of splits or with an empty field."""
        column = self.columns.split
        return None if column is None else _read_split(fields[column], where)

    def guesses(self, meaning: str = "labels") -> list[str]:
        """Return lines for the user about how the file was read; ``meaning`` is what labels are."""
        first = first_rows(self.file, self.delimiter)[0]
        return [
            *self.file.notes,
            note_on_delimiter(self.file, self.delimiter),
            note_on_header(self.file.path, first, self.columns.has_header),
            _note_on_columns(self.file.path, first, self.columns, meaning),
        ]


def open_table(csv_file: Path, given: Mapping[str, Optional[str]], known: KnownNames) -> Table:
    """Read a CSV file and find its delimiter, its header and its columns.

    ``given`` are names or numbers of columns by role, see COLUMN_ROLES. Raises ConfigError for
    columns that are not found, and DataError where it is unclear which columns hold what.
    """
    file = read_table_file(csv_file)
    delimiter = find_delimiter(file, known.exists)
    columns = _find_columns(first_rows(file, delimiter), given, known, csv_file)
    return Table(file, delimiter, columns)


def _note_on_columns(
    csv_file: Path, first: Sequence[str], columns: TableColumns, meaning: str
) -> str:
    """Return a line for the user about which columns hold what."""

    def named(position: int) -> str:
        name = f" '{shown(first[position])}'" if columns.has_header else ""
        return f"column {position + 1}{name}"

    if columns.label is not None:
        labels = f"{meaning} in {named(columns.label)}"
    else:
        labels = f"one-hot labels in {counted(len(columns.classes), 'column')}: " + listed(
            list(columns.classes.values())
        )
    parts = [f"paths in {named(columns.path)}", labels]
    for content, position in (("splits", columns.split), ("groups", columns.group)):
        if position is not None:
            parts.append(f"{content} in {named(position)}")
    return f"{csv_file}: {', '.join(parts)}"


def _find_columns(
    first_rows: Sequence[Sequence[str]],
    given: Mapping[str, Optional[str]],
    known: KnownNames,
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
    has_header = by_name or is_header(first_rows, path, label, known.exists)
    where = f"{csv_file}:1"
    classes: dict[int, str] = {}
    if has_header and not (is_column_numbers(first) and len(others) == 1):
        classes = _choose_by_header(chosen, free, first_rows, known, where)
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
    header: Sequence[str],
    free: Sequence[int],
    names: Collection[str],
    roles: Sequence[str],
    where: str,
) -> int:
    """Return the one free column whose name is among the usual ``names`` of the first role.

    Without one, the error asks for the columns of all ``roles``.
    """
    role = roles[0]
    found = [position for position in free if normalized_name(header[position]) in names]
    if len(found) != 1:
        columns = listed([header[position] for position in found or range(len(header))])
        problem = f"several {role} columns" if found else f"no {role} column among"
        raise DataError(
            f"{where}: found {problem}: {columns}",
            f"Name {'it' if len(roles) == 1 else 'them'} with "
            + " and ".join(f"--{each}-column" for each in roles),
        )
    return found[0]


def _one_hot_columns(
    first_rows: Sequence[Sequence[str]], free: Sequence[int], known: KnownNames, where: str
) -> dict[int, str]:
    """Return the classes of one-hot columns by position; empty when there are no such columns.

    All ``free`` columns are one-hot when some row holds zeros and ones in all of them and none
    has the usual name of a label column. Where columns of all known classes are among them, only
    these are asked.
    """
    header = first_rows[0]
    classes = {comparable(name) for name in known.classes}
    if classes and classes <= {comparable(header[position]) for position in free}:
        free = [position for position in free if comparable(header[position]) in classes]
    if len(free) < 2 or any(
        normalized_name(header[position]) in known.label_columns for position in free
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
    chosen: dict[str, int],
    free: list[int],
    first_rows: Sequence[Sequence[str]],
    known: KnownNames,
    where: str,
) -> dict[int, str]:
    """Add the path and label columns to ``chosen`` by their names; return the one-hot columns.

    Beside a column of paths, the only other column holds the labels whatever its name is.
    """
    if "path" not in chosen:
        roles = [role for role in ("path", "label") if role not in chosen]
        chosen["path"] = _usual_column(first_rows[0], free, PATH_COLUMN_NAMES, roles, where)
        free.remove(chosen["path"])
    if "label" in chosen:
        return {}
    after_path = [position for position in free if position > chosen["path"]]
    classes = _one_hot_columns(first_rows, after_path, known, where)
    if not classes and len(first_rows[0]) == 2 and len(free) == 1:
        chosen["label"] = free.pop()
    elif not classes:
        names = known.label_columns
        chosen["label"] = _usual_column(first_rows[0], free, names, ["label"], where)
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
