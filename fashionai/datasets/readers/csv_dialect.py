"""CSV files of whatever dialect: separated by comma, semicolon or tab, with a header or without."""

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
# Usual names of columns, lower case, without spaces and punctuation.
PATH_COLUMN_NAMES = (
    *("path", "file", "filename", "filepath", "name", "id", "image", "imageid", "imagename"),
    *("imagepath", "imagefile", "img", "imgid", "imgname", "imgpath", "imgfile"),
)
LABEL_COLUMN_NAMES = ("label", "labels", "class", "classname", "category", "target")
# Rows from which the dialect is found.
DIALECT_LINES = 100


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a text file; DataError when it cannot be read as UTF-8."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:
            yield from handle
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text, expected rows of a table") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def read_fields(path: Path, delimiter: str) -> Iterator[tuple[list[str], int]]:
    """The stripped fields of every row that is not blank, and the row's line.

    Strict: an unclosed quote would swallow the rows behind it.
    """
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
    """As read_fields, with the place of each row below the header; all have ``width`` fields."""
    for fields, line in itertools.islice(read_fields(path, delimiter), int(has_header), None):
        where = f"{path}:{line}"
        if len(fields) != width:
            raise DataError(f"{where}: found {len(fields)} fields, expected {width}")
        yield fields, where


def parse_lines(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """Rows of a sample of lines; what is wrong with them is for the reading proper to say."""
    rows = []
    with contextlib.suppress(csv.Error):
        for fields in csv.reader(lines, delimiter=delimiter, skipinitialspace=True):
            if not _is_blank(fields):
                rows.append([field.strip() for field in fields])
    return rows


def _is_blank(fields: Sequence[str]) -> bool:
    return not fields or (len(fields) == 1 and not fields[0].strip())


def find_delimiter(lines: Sequence[str], files: ImageFiles, csv_file: Path) -> str:
    """The one that cuts most rows like the first; in a tie one that cuts out an image, or leads."""
    first_line = next((line for line in lines if line.strip()), None)
    if first_line is None:
        raise DataError(f"{csv_file}: no rows")
    ranks = {}
    for delimiter in DELIMITERS:
        rows = parse_lines(lines, delimiter)
        if rows and len(rows[0]) > 1:
            alike = sum(len(row) == len(rows[0]) for row in rows)
            has_image = any(is_existing_file(field, files) for field in rows[:2][-1])
            ranks[delimiter] = (alike, has_image, -first_line.find(delimiter))
    if not ranks:
        raise DataError(
            f"{csv_file}:{lines.index(first_line) + 1}: found one field, "
            "expected path and label with a comma, semicolon or tab between"
        )
    return max(ranks, key=lambda delimiter: ranks[delimiter])


def is_existing_file(field: str, files: ImageFiles) -> bool:
    """Whether a field is the path of a file that is there."""
    try:
        return files.find(safe_relative_path(field, "", ""), "") is not None
    except DataError:
        return False


def column_position(role: str, column: str, first: Sequence[str], csv_file: Path) -> int:
    """The position of a column that is given by its number from 1, or its name in the header.

    ``role`` is what the option calls it. Raises ConfigError when it is not there.
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
    """The name of a column in lower case, without spaces and punctuation."""
    return re.sub(r"[\s_.-]", "", name.lower())
