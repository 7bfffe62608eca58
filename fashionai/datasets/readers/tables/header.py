"""Whether the first row of a file is a header or an image. Every reader of tables asks here."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Optional

from fashionai.datasets.readers.tables.csv_dialect import (
    LABEL_COLUMN_NAMES,
    PATH_COLUMN_NAMES,
    listed,
    normalized_name,
)
from fashionai.files.names import is_image_name


def is_header(
    rows: Sequence[Sequence[str]],
    path: int,
    label: Optional[int],
    exists: Callable[[str], bool],
    otherwise: bool = True,
) -> bool:
    """Return whether the first of the ``rows`` names the columns instead of an image.

    ``path`` and ``label`` are the positions of the path and of the label, if there is one, and
    ``exists`` tells whether a path is that of an existing file. The first of these rules that
    applies decides:

    1. Usual names of both columns are a header; one is, in a file of paths alone.
    2. The number of each column instead of its name, 0, 1 ..., is a header of pandas if the
       image 0 is listed again, or if no other row has the label 1.
    3. The path of an image with its suffix is no name of a column.
    4. A label that other rows have too is none either.
    5. A usual name of the column of paths is a header, even if an image is called so.
    6. The path of an existing image, and one that is built like those of the other rows, such
       as 0001 above 0002, is no name of a column. If the image does not exist, the caller
       reports it.
    7. ``otherwise`` decides.
    """
    first, others = rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]
    names = {normalized_name(field) for field in first}
    if names & set(PATH_COLUMN_NAMES) and (len(first) == 1 or names & set(LABEL_COLUMN_NAMES)):
        return True
    repeats = label is not None and first[label] in [row[label] for row in others]
    if is_column_numbers(first) and others:
        is_listed_again = first[path] in [row[path] for row in others]
        if is_listed_again or label is not None:
            return is_listed_again or not repeats
    if is_image_name(first[path]) or repeats:
        return False
    if normalized_name(first[path]) in PATH_COLUMN_NAMES:
        return True
    if exists(first[path]) or _is_built_alike(first[path], [row[path] for row in others]):
        return False
    return otherwise


def is_column_numbers(first: Sequence[str]) -> bool:
    """Return whether a row numbers two or more columns from 0; the column of an index is empty."""
    numbers = first[1:] if first and not first[0] else first
    return len(numbers) > 1 and list(numbers) == [str(number) for number in range(len(numbers))]


def _is_built_alike(path: str, others: Sequence[str]) -> bool:
    """Return whether most other paths have digits and separators in the same places."""
    pattern = _pattern(path)
    alike = sum(_pattern(other) == pattern for other in others)
    return bool(re.search(r"[\d/\\]", path)) and 2 * alike > len(others)


def _pattern(path: str) -> str:
    """Return a path with one 0 for each number and one a for each word."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", path))


def note_on_header(file: Path, first: Sequence[str], has_header: bool) -> str:
    """Return a line for the user about what the first row was taken for."""
    meaning = "is the header" if has_header else "is an image, there is no header"
    return f"{file}: the first row {meaning}: {listed(first)}"
