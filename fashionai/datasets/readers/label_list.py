"""The user's own labels, without images: a CSV file of paths and labels, of any dialect."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from fashionai.datasets.readers.class_names import names_of_classes
from fashionai.datasets.readers.csv_dialect import (
    LABEL_COLUMN_NAMES,
    PATH_COLUMN_NAMES,
    find_delimiter,
    first_rows,
    normalized_name,
    note_on_delimiter,
    read_table_file,
    read_table_rows,
)
from fashionai.datasets.readers.header import is_header, note_on_header
from fashionai.datasets.readers.image_files import ImageFiles
from fashionai.errors import DataError, nearest, shown
from fashionai.files.counts import parse_count
from fashionai.files.names import comparable

logger = logging.getLogger(__name__)


class ListedLabel(NamedTuple):
    """One row: the path as the file has it, the index of its label, and its place (file:line)."""

    path: str
    label_index: int
    where: str


def read_label_list(
    file: Path, labels: Sequence[str], label_columns: Sequence[str] = ()
) -> list[ListedLabel]:
    """Read a CSV file with a column of paths and a column of labels.

    ``labels`` are the names of all labels by index. All rows hold names, or all rows hold
    indices; indices are not read where a name is a number. With a header, the columns are found
    by usual names, to which ``label_columns`` adds. A file without a header has two columns, the
    path first. The log tells how the file was read. Raises DataError when the columns are not
    found, and with file and line for unknown labels.
    """
    table = read_table_file(file)
    delimiter = find_delimiter(table, ImageFiles(file.parent))
    dialect_rows = first_rows(table, delimiter)
    first = dialect_rows[0]
    path, label, has_header = _find_columns(
        dialect_rows, (*LABEL_COLUMN_NAMES, *label_columns), file
    )
    rows = list(read_table_rows(table, delimiter, len(first), has_header))
    if not rows:
        raise DataError(f"{file}: no rows below its header")
    texts = [fields[label] for fields, _ in rows]
    by_text, meaning = _meaning_of(texts, labels)
    for note in (
        *table.notes,
        note_on_delimiter(table, delimiter),
        note_on_header(file, first, has_header),
        f"{file}: paths in column {path + 1}, {meaning} in column {label + 1}",
    ):
        logger.info(note)
    return [
        ListedLabel(fields[path], _index(fields[label], by_text, labels, where), where)
        for fields, where in rows
    ]


def _find_columns(
    rows: Sequence[Sequence[str]], label_names: Sequence[str], file: Path
) -> tuple[int, int, bool]:
    """Return the positions of path and label, and whether the first row is a header."""
    first = rows[0]
    names = [normalized_name(field) for field in first]
    paths = [position for position, name in enumerate(names) if name in PATH_COLUMN_NAMES]
    labels = [position for position, name in enumerate(names) if name in label_names]
    if len(paths) == len(labels) == 1:
        return paths[0], labels[0], True
    if len(first) == 2 and not labels:
        return 0, 1, is_header(rows, 0, 1, lambda _: False, otherwise=False)
    found = ", ".join(map(shown, first[:12]))
    raise DataError(
        f"{file}:1: cannot tell which columns hold paths and labels: {found}",
        "Name them path and label in a header",
    )


def _meaning_of(texts: Sequence[str], labels: Sequence[str]) -> tuple[dict[str, int], str]:
    """Return the index that each text means, and what the texts are, for the user.

    One file is read one way: with any name in it, or with names that are numbers, all are names.
    """
    names = {comparable(label): index for index, label in enumerate(labels)}
    are_names = any(comparable(text) in names for text in texts)
    if are_names or any(_number(name) is not None for name in names):
        by_text = {**names, **_whole_numbers(names, texts)}
        return by_text, "names of classes"
    indices = {text: _number(text) for text in texts}
    found = {
        text: index for text, index in indices.items() if index is not None and index < len(labels)
    }
    return found, "indices of classes"


def _whole_numbers(names: Mapping[str, int], texts: Sequence[str]) -> dict[str, int]:
    """Return the indices of texts such as 2.000000 that stand for the class 2."""
    meant = names_of_classes(set(texts))
    return {text: names[name] for text, name in meant.items() if name in names}


def _number(text: str) -> Optional[int]:
    """Return the index that a text such as 2 or 2.0 is; None for other texts."""
    (name,) = names_of_classes([text]).values()
    return parse_count(name)


def _index(text: str, by_text: Mapping[str, int], labels: Sequence[str], where: str) -> int:
    index = by_text.get(comparable(text))
    if index is None:
        raise DataError(f"{where}: unknown label '{shown(text)}'", nearest(text, labels))
    return index
