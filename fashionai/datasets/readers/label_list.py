"""The user's own labels, without images: a CSV file of paths and labels, of any dialect."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fashionai.datasets.readers.csv_dialect import (
    DIALECT_LINES,
    LABEL_COLUMN_NAMES,
    PATH_COLUMN_NAMES,
    find_delimiter,
    normalized_name,
    parse_lines,
    read_lines,
    read_table_rows,
)
from fashionai.datasets.readers.image_files import ImageFiles
from fashionai.errors import DataError, nearest


class ListedLabel(NamedTuple):
    """One row: the path as the file has it, the index of its label, and its place (file:line)."""

    path: str
    label_index: int
    where: str


def read_label_list(
    file: Path, labels: Sequence[str], label_columns: Sequence[str] = ()
) -> list[ListedLabel]:
    """Read a CSV file with a column of paths and a column of labels.

    ``labels`` are the names of all labels by index; each row holds a name or an index. With a
    header, the columns are found by usual names, to which ``label_columns`` adds. A file
    without a header has two columns, the path first. Raises DataError when the columns are not
    found, and with file and line for unknown labels.
    """
    lines = list(itertools.islice(read_lines(file), DIALECT_LINES))
    delimiter = find_delimiter(lines, ImageFiles(file.parent), file)
    first = parse_lines(lines, delimiter)[0]
    path, label, has_header = _find_columns(first, (*LABEL_COLUMN_NAMES, *label_columns), file)
    rows = [
        ListedLabel(fields[path], _index(fields[label], labels, where), where)
        for fields, where in read_table_rows(file, delimiter, len(first), has_header)
    ]
    if not rows:
        raise DataError(f"{file}: no rows below its header")
    return rows


def _find_columns(
    first: Sequence[str], label_names: Sequence[str], file: Path
) -> tuple[int, int, bool]:
    """Return the positions of path and label, and whether the first row is a header."""
    names = [normalized_name(field) for field in first]
    paths = [position for position, name in enumerate(names) if name in PATH_COLUMN_NAMES]
    labels = [position for position, name in enumerate(names) if name in label_names]
    if len(paths) == len(labels) == 1:
        return paths[0], labels[0], True
    if len(first) == 2 and not labels:
        return 0, 1, False
    raise DataError(
        f"{file}:1: cannot tell which columns hold paths and labels: {', '.join(first)}",
        "Name them path and label in a header",
    )


def _index(text: str, labels: Sequence[str], where: str) -> int:
    if text in labels:
        return labels.index(text)
    if text.isdecimal() and int(text) < len(labels):
        return int(text)
    raise DataError(f"{where}: unknown label '{text}'", nearest(text, labels))
