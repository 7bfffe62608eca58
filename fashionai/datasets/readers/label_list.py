"""The user's own labels, without images: a CSV file of paths and labels, of any dialect."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from fashionai.datasets.readers.class_names import names_of_classes
from fashionai.datasets.readers.tables.csv_dialect import LABEL_COLUMN_NAMES
from fashionai.datasets.readers.tables.table_columns import KnownNames, open_table
from fashionai.errors import DataError, nearest, shown
from fashionai.files.counts import parse_count
from fashionai.files.names import comparable

logger = logging.getLogger(__name__)


class ListedLabel(NamedTuple):
    """One row: the path as the file has it, the index of its label, its place (file:line).

    ``split`` is train, val or test, or None where the file has no column of splits.
    """

    path: str
    label_index: int
    where: str
    split: Optional[str] = None


def read_label_list(
    file: Path,
    labels: Sequence[str],
    label_columns: Sequence[str] = (),
    *,
    columns: Optional[Mapping[str, Optional[str]]] = None,
    exists: Callable[[str], bool] = lambda _: False,
) -> list[ListedLabel]:
    """Read the paths and labels of a CSV file that prepare would accept, without its images.

    ``labels`` are the names of all labels by index. All rows hold names, or all rows hold
    indices; indices are not read where a name is a number. ``columns`` are names or numbers of
    columns by role. Others are found by usual names, to which ``label_columns`` adds; ``exists``
    tells whether a field is the path of an image. The log tells how the file was read. Raises
    errors of open_table, and DataError with file and line for unknown labels.
    """
    known = KnownNames(exists, (*LABEL_COLUMN_NAMES, *label_columns), labels)
    table = open_table(file, columns or {}, known)
    rows = list(table.rows())
    if not rows:
        raise DataError(f"{file}: no rows below its header")
    texts = [table.label(fields, where) for fields, where in rows]
    by_text, meaning = _meaning_of(texts, labels)
    for note in table.guesses(meaning):
        logger.info(note)
    return [
        ListedLabel(
            fields[table.columns.path],
            _index(text, by_text, labels, where),
            where,
            table.split(fields, where),
        )
        for (fields, where), text in zip(rows, texts)
    ]


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
