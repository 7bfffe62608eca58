"""Reading CSV files with line numbers for error messages, and writing them atomically."""

from __future__ import annotations

import csv
import io
import itertools
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fashionai.errors import DataError, shown
from fashionai.files import atomic_path
from fashionai.files.formats.text_files import Text, read_text
from fashionai.files.names import with_escaped_bytes

EXPECTED = "comma-separated rows"
# Ends a file while it is read. It is random, so that no text contains it.
END = secrets.token_hex(16)
LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")


def read_csv_rows(path: Path) -> Iterator[tuple[list[str], str]]:
    """Yield the stripped fields of every row that is not blank, and its position ``file:line``.

    A row of empty fields is blank. Raises DataError for a file that is missing, not text or not
    CSV.
    """
    # The last row of a file whose last quote is not closed includes the mark.
    lines = itertools.chain(lines_of(_read(path).text), [END])
    reader = csv.reader(lines)
    line = 1
    try:
        for fields in reader:
            if fields == [END]:
                return
            if fields and fields[-1].endswith(END):
                raise csv.Error("the quote that opens here is never closed")
            line = reader.line_num + 1
            if not is_blank(fields):
                yield [field.strip() for field in fields], f"{path}:{reader.line_num}"
    except csv.Error as error:
        raise DataError(f"{path}:{line}: not valid CSV: {shown(str(error))}") from None


def lines_of(text: str) -> Iterator[str]:
    """The lines of a text, as ``io.StringIO(text, newline="")`` has them in four times the memory.

    They end in a line feed, a carriage return or both, which they include.
    """
    return (match.group() for match in LINE.finditer(text))


def note_on_encoding(path: Path) -> list[str]:
    """Return a line for the user where a file's encoding was guessed.

    Raises DataError for a file that is missing or not text.
    """
    return _read(path).note(path)


def _read(path: Path) -> Text:
    if not path.exists():
        raise DataError(f"{path}: no such file")
    return read_text(path, EXPECTED)


def is_blank(fields: Sequence[str]) -> bool:
    """Return whether all fields of a row are empty, as in rows that spreadsheets append."""
    return not any(field.strip() for field in fields)


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """The rows as the text of a CSV file. Every row ends in a line feed."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def write_rows(path: Path, rows: Iterable[Iterable[object]]) -> None:
    """Write rows atomically. Every row ends in a line feed."""
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", encoding="utf-8", newline="") as handle,
    ):
        try:
            csv.writer(handle, lineterminator="\n").writerows(rows)
        except UnicodeEncodeError as error:
            name = with_escaped_bytes(error.object.strip())
            raise DataError(f"{path}: cannot hold {name}, which is not UTF-8 text") from None
