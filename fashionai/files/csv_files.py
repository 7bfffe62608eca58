"""Reading CSV files with line numbers for error messages, and writing them atomically."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from fashionai.errors import DataError
from fashionai.files import atomic_path


def read_csv_rows(path: Path) -> Iterator[tuple[list[str], str]]:
    """Yield the stripped fields of every row that is not blank, and its position ``file:line``.

    Raises DataError for a file that is missing, not UTF-8 text or not CSV.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:
            reader = csv.reader(handle)
            for fields in reader:
                if fields:
                    yield [field.strip() for field in fields], f"{path}:{reader.line_num}"
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text, expected comma-separated rows") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: not valid CSV: {error}") from None


def write_rows(path: Path, rows: Iterable[Iterable[object]]) -> None:
    """Write rows atomically. Every row ends in a line feed."""
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", encoding="utf-8", newline="") as handle,
    ):
        csv.writer(handle, lineterminator="\n").writerows(rows)
