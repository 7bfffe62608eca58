"""Reading CSV files with line numbers for error messages, and writing them atomically."""

from __future__ import annotations

import csv
import io
import itertools
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from fashionai.errors import DataError, shown
from fashionai.files import atomic_path
from fashionai.files.formats.text_files import LARGEST_TEXT, Text, read_text
from fashionai.files.names import with_escaped_bytes

EXPECTED = "comma-separated rows"
# Ends a file while it is read. It is random, so that no text contains it.
END = secrets.token_hex(16)
# The first rows of a file end within so many bytes.
HEAD = 2**20
LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")


def read_csv_rows(path: Path, largest: int = LARGEST_TEXT) -> Iterator[tuple[list[str], str]]:
    """Yield the stripped fields of every row that is not blank, and its position ``file:line``.

    A row of empty fields is blank. Raises DataError for a file that is missing, not text, not CSV
    or larger than ``largest`` bytes.
    """
    # The last row of a file whose last quote is not closed includes the mark.
    lines = itertools.chain(lines_of(_read(path, largest).text), [END])
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


def rows_below(path: Path, columns: Sequence[str]) -> Iterator[tuple[list[str], str]]:
    """Yield what read_csv_rows does for the rows of a file of this project, whose header is known.

    Raises DataError for another header, and for a row of more or fewer fields than ``columns``.
    """
    expected = ",".join(columns)
    rows = read_csv_rows(path)
    header, where = next(rows, ([], str(path)))
    if header != [*columns]:
        raise DataError(
            f"{where}: found columns '{shown(','.join(header))}', expected {expected}",
            "Save it with commas between the fields" if is_of_spreadsheet(header, columns) else "",
        )
    for fields, where in rows:
        if len(fields) != len(columns):
            raise DataError(f"{where}: found '{shown(','.join(fields))}', expected {expected}")
        yield fields, where


def is_of_spreadsheet(header: Sequence[str], columns: Sequence[str]) -> bool:
    """Whether a spreadsheet has saved a header with its own separators, read with commas."""
    return any(header == [mark.join(columns)] for mark in ";\t")


def lines_of(text: str) -> Iterator[str]:
    """The lines of a text, as ``io.StringIO(text, newline="")`` has them in four times the memory.

    They end in a line feed, a carriage return or both, which they include.
    """
    return (match.group() for match in LINE.finditer(text))


def first_rows(path: Path, count: int) -> list[list[str]]:
    """The stripped fields of the first rows that are not blank, in UTF-8.

    Of a large file only the beginning is read. There are none in a file that is no CSV file or
    cannot be read.
    """
    try:
        with open(path, "rb") as handle:
            text = handle.read(HEAD).decode("utf-8-sig", "replace")
        rows = (fields for fields in csv.reader(lines_of(text)) if not is_blank(fields))
        return [[field.strip() for field in fields] for fields in itertools.islice(rows, count)]
    except (OSError, csv.Error):
        return []


def readable_rows(path: Path) -> list[list[str]]:
    """The stripped fields of all rows that are not blank; none in a file that cannot be read."""
    try:
        return [fields for fields, _ in read_csv_rows(path)]
    except DataError:
        return []


def note_on_encoding(path: Path, largest: int = LARGEST_TEXT) -> list[str]:
    """Return a line for the user where a file's encoding was guessed.

    Raises DataError for a file that is missing, not text or larger than ``largest`` bytes.
    """
    return _read(path, largest).note(path)


def _read(path: Path, largest: int) -> Text:
    if not path.exists():
        raise DataError(f"{path}: no such file")
    return read_text(path, EXPECTED, largest)


def is_blank(fields: Sequence[str]) -> bool:
    """Return whether all fields of a row are empty, as in rows that spreadsheets append."""
    return not any(field.strip() for field in fields)


class _LineFeeds(NamedTuple):
    """A text file whose rows end in a line feed, not in the carriage return before it."""

    file: TextIO

    def write(self, row: str) -> int:
        return self.file.write(row.removesuffix("\r\n") + "\n")


def _write(file: TextIO, rows: Iterable[Iterable[object]]) -> None:
    # The writer quotes fields with a character of its line terminator, and of no other.
    csv.writer(_LineFeeds(file), lineterminator="\r\n").writerows(rows)


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """The rows as the text of a CSV file. Every row ends in a line feed."""
    text = io.StringIO(newline="")
    _write(text, rows)
    return text.getvalue()


def write_rows(path: Path, rows: Iterable[Iterable[object]]) -> None:
    """Write rows atomically. Every row ends in a line feed."""
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", encoding="utf-8", newline="") as handle,
    ):
        try:
            _write(handle, rows)
        except UnicodeEncodeError as error:
            name = with_escaped_bytes(error.object.strip())
            raise DataError(f"{path}: cannot hold {name}, which is not UTF-8 text") from None
