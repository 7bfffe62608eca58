"""CSV files of any dialect: the delimiter is a comma, semicolon or tab; the header is optional."""

from __future__ import annotations

import contextlib
import csv
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from fashionai.datasets.readers.image_files import ImageFiles, safe_relative_path
from fashionai.errors import ConfigError, DataError, nearest

DELIMITERS = (",", ";", "\t")
# Usual names of columns, as normalized_name returns them.
PATH_COLUMN_NAMES = (
    *("path", "file", "filename", "filepath", "name", "id", "image", "imageid", "imagename"),
    *("imagepath", "imagefile", "img", "imgid", "imgname", "imgpath", "imgfile"),
)
LABEL_COLUMN_NAMES = ("label", "labels", "class", "classname", "category", "target")
# The number of lines that decide the dialect of a file.
DIALECT_LINES = 100


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a text file; DataError when it cannot be read as UTF-8."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:
            yield from handle
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text, expected rows of a table") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def read_fields(path: Path, delimiter: str) -> Iterator[tuple[list[str], int]]:
    """Yield the stripped fields and the line number of every row that is not blank.

    Raises DataError for a file that is not valid CSV.
    """
    # Strict, because an unclosed quote would otherwise include all rows that follow it.
    reader = csv.reader(read_lines(path), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for fields in reader:
            if not _is_blank(fields):
                yield [field.strip() for field in fields], reader.line_num
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: not valid CSV: {error}") from None


def read_table_rows(
    path: Path, delimiter: str, width: int, has_header: bool
) -> Iterator[tuple[list[str], str]]:
    """Yield the fields and the place (file:line) of each row, without the header if there is one.

    Raises DataError as read_fields does, and for a row that does not have ``width`` fields.
    """
    first_row = 1 if has_header else 0
    for fields, line in itertools.islice(read_fields(path, delimiter), first_row, None):
        where = f"{path}:{line}"
        if len(fields) != width:
            count = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
            raise DataError(f"{where}: found {count}, expected {width}")
        yield fields, where


def parse_lines(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """Return the fields of a file's first lines, up to the first row that is not valid CSV.

    Such a row is not an error here: read_fields reports it with its line.
    """
    rows = []
    with contextlib.suppress(csv.Error):
        for fields in csv.reader(lines, delimiter=delimiter, skipinitialspace=True):
            if not _is_blank(fields):
                rows.append([field.strip() for field in fields])
    return rows


def _is_blank(fields: Sequence[str]) -> bool:
    return not fields or (len(fields) == 1 and not fields[0].strip())


def find_delimiter(lines: Sequence[str], files: ImageFiles, csv_file: Path) -> str:
    """Return the delimiter with which most rows have as many fields as the first row.

    Among equals, one that yields the path of an existing file below the header comes first, and
    then the one that occurs earlier in the first line. Raises DataError when there are no rows
    or when no delimiter splits the first one.
    """
    first_line = next((line for line in lines if line.strip()), None)
    if first_line is None:
        raise DataError(f"{csv_file}: no rows")
    ranks = {}
    for delimiter in DELIMITERS:
        rows = parse_lines(lines, delimiter)
        if rows and len(rows[0]) > 1:
            alike = sum(len(row) == len(rows[0]) for row in rows)
            fields = rows[1] if len(rows) > 1 else rows[0]
            has_image = any(is_existing_file(field, files) for field in fields)
            ranks[delimiter] = (alike, has_image, -first_line.find(delimiter))
    if not ranks:
        raise DataError(
            f"{csv_file}:{lines.index(first_line) + 1}: found one field, "
            "expected path and label separated by a comma, semicolon or tab"
        )
    return max(ranks, key=lambda delimiter: ranks[delimiter])


def is_existing_file(field: str, files: ImageFiles) -> bool:
    """Return whether a field is the path of an existing file, which may lack its suffix."""
    try:
        return files.find(safe_relative_path(field, "", ""), "") is not None
    except DataError:
        return False


def column_position(role: str, column: str, first: Sequence[str], csv_file: Path) -> int:
    """Return the position, from 0, of a column that is given by its number from 1 or its name.

    ``first`` is the first row of the file, and ``role`` the first word of the option's name
    (path, label ...). Raises ConfigError when the column is not found.
    """
    if column.isdecimal():
        if not 1 <= int(column) <= len(first):
            raise ConfigError(
                f"--{role}-column: found '{column}', {csv_file} has columns 1 to {len(first)}"
            )
        return int(column) - 1
    if first.count(column) != 1:
        found = "two columns" if column in first else "no column"
        hint = "Give its number" if column in first else nearest(column, first)
        raise ConfigError(f"--{role}-column: {csv_file} has {found} '{column}'", hint)
    return first.index(column)


def normalized_name(name: str) -> str:
    """Return the name of a column in lower case, without spaces and punctuation."""
    return re.sub(r"[\s_.-]", "", name.lower())
