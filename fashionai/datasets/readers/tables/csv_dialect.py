"""CSV files of any dialect: the delimiter is a comma, semicolon or tab; the header is optional."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fashionai.datasets.readers.image_files import ImageFiles
from fashionai.errors import ConfigError, DataError, counted, nearest, shown
from fashionai.files.counts import parse_count
from fashionai.files.formats.csv_files import is_blank, lines_of
from fashionai.files.formats.text_files import read_text

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
# The delimiter of a list of paths: the lines are the fields.
NO_DELIMITER = "\n"
# Usual names of columns, as normalized_name returns them.
PATH_COLUMN_NAMES = (
    *("path", "file", "filename", "filepath", "name", "id", "image", "imageid", "imagename"),
    *("imagepath", "imagefile", "img", "imgid", "imgname", "imgpath", "imgfile"),
)
LABEL_COLUMN_NAMES = ("label", "labels", "class", "classname", "category", "target")
# The number of lines that decide the dialect of a file.
DIALECT_LINES = 100


class TableFile(NamedTuple):
    """A text file of rows: its text, and ``notes`` for the user on its encoding."""

    path: Path
    text: str
    notes: list[str]

    def lines(self) -> Iterator[str]:
        """Yield the lines with their ends."""
        yield from lines_of(self.text)

    def first_lines(self) -> list[str]:
        """Return the lines that decide the dialect; DataError for a file of blank lines."""
        lines = list(itertools.islice(self.lines(), DIALECT_LINES))
        if not any(line.strip() for line in lines):
            raise DataError(f"{self.path}: no rows")
        return lines


def read_table_file(path: Path) -> TableFile:
    """Read a text file of rows; errors as for fashionai.files.formats.text_files.read_text."""
    content = read_text(path, "rows of a table")
    return TableFile(path, content.text, content.note(path))


def read_fields(file: TableFile, delimiter: str) -> Iterator[tuple[list[str], int]]:
    """Yield the stripped fields and the line number of every row that is not blank.

    Raises DataError for a file that is not valid CSV.
    """
    # Strict, because an unclosed quote would otherwise include all rows that follow it.
    reader = csv.reader(file.lines(), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for fields in reader:
            if not is_blank(fields):
                yield [field.strip() for field in fields], reader.line_num
    except csv.Error as error:
        problem = shown(str(error))
        raise DataError(f"{file.path}:{reader.line_num}: not valid CSV: {problem}") from None


def read_table_rows(
    file: TableFile, delimiter: str, width: int, has_header: bool
) -> Iterator[tuple[list[str], str]]:
    """Yield the fields and the place (file:line) of each row, without the header if there is one.

    Raises DataError as read_fields does, and for a row that does not have ``width`` fields.
    """
    first_row = 1 if has_header else 0
    for fields, line in itertools.islice(read_fields(file, delimiter), first_row, None):
        where = f"{file.path}:{line}"
        if len(fields) != width:
            count = counted(len(fields), "field")
            raise DataError(f"{where}: found {count}, expected {width}")
        yield fields, where


def first_rows(file: TableFile, delimiter: str) -> list[list[str]]:
    """Return the fields of the rows that decide the dialect, one row or more.

    Raises DataError for a file without rows, and for a first row that is not valid CSV. Another
    such row is not an error here: read_fields reports it with its line.
    """
    rows = _parse_lines(file.first_lines(), delimiter)
    return rows or [next(read_fields(file, delimiter))[0]]


def _parse_lines(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """Return the fields of the rows up to the first one that is not valid CSV."""
    rows = []
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for fields in reader:
            if not is_blank(fields):
                rows.append([field.strip() for field in fields])
    except csv.Error:
        pass
    return rows


def find_delimiter(file: TableFile, exists: Callable[[str], bool]) -> str:
    """Return the delimiter with which most rows have as many fields as the first row.

    Among equals, one that yields the path of an image (``exists``) below the header comes first,
    and then the one that occurs earlier in the first line. Raises DataError when there are no rows
    or when no delimiter splits the first one.
    """
    lines = file.first_lines()
    first_line = next(line for line in lines if line.strip())
    ranks = {}
    for delimiter in DELIMITERS:
        rows = _parse_lines(lines, delimiter)
        if rows and len(rows[0]) > 1:
            alike = sum(len(row) == len(rows[0]) for row in rows)
            fields = rows[1] if len(rows) > 1 else rows[0]
            has_image = any(exists(field) for field in fields)
            ranks[delimiter] = (alike, has_image, -first_line.find(delimiter))
    if not ranks:
        # A first row that is not valid CSV has no fields with any delimiter.
        next(read_fields(file, ","), None)
        raise DataError(
            f"{file.path}:{lines.index(first_line) + 1}: found one field, "
            "expected path and label separated by a comma, semicolon or tab"
        )
    return max(ranks, key=lambda delimiter: ranks[delimiter])


def is_existing_file(field: str, files: ImageFiles) -> bool:
    """Return whether a field is the path of an existing file, which may lack its suffix."""
    try:
        return files.find(files.relative_path(field, "", ""), "") is not None
    except DataError:
        return False


def column_position(role: str, column: str, first: Sequence[str], csv_file: Path) -> int:
    """Return the position, from 0, of a column that is given by its number from 1 or its name.

    ``first`` is the first row of the file, and ``role`` the first word of the option's name
    (path, label ...). Raises ConfigError when the column is not found.
    """
    if column.isdecimal():
        number = parse_count(column) or 0
        if not 1 <= number <= len(first):
            found = f"--{role}-column: found '{shown(column)}'"
            raise ConfigError(f"{found}, {csv_file} has columns 1 to {len(first)}")
        return number - 1
    if first.count(column) != 1:
        found = "two columns" if column in first else "no column"
        hint = "Give its number" if column in first else nearest(column, map(shown, first))
        raise ConfigError(f"--{role}-column: {csv_file} has {found} '{shown(column)}'", hint)
    return first.index(column)


def normalized_name(name: str) -> str:
    """Return the name of a column in lower case, without spaces and punctuation."""
    return re.sub(r"[\s_.-]", "", name.lower())


def listed(fields: Sequence[str]) -> str:
    """Return the fields of a row for messages: quoted, the long ones cut, at most twelve."""
    names = [f"'{shown(field)}'" for field in fields[:12]]
    more = [f"{len(fields) - 12} more"] if len(fields) > 12 else []
    return ", ".join([*names, *more])


def note_on_delimiter(file: TableFile, delimiter: str) -> str:
    """Return a line for the user about the guessed delimiter."""
    return f"{file.path}: fields are separated by {DELIMITERS[delimiter]}"
