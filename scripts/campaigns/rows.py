"""Rows of label files in the dialects and encodings that users have, and a slow reading of them."""

from __future__ import annotations

import csv
import io
import random
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

# What files of images are called. Those of the second line are hard where a delimiter is guessed.
PLAIN_NAMES = (
    *("IMG_0001.JPG", "photo 1.jpg", "007.png", "x.y.webp", "nan.jpg", "=1.png", "- .gif", "ü.jpg"),
    *("id.png", "#1.png", "sub/a.jpg", "a b/c d.png", "sub/sub/e.jpeg", "1e3.bmp", "裙子.jpg"),
    *("it's.jpg", "100%.jpg", "NULL.tiff", "true.jpg", "Ångström.png", "0.5.png", "\U0001f600.jpg"),
)
HARD_NAMES = ("a,b.jpg", "a;b.jpg", 'say "x".jpg', "a,b;c.png")
CLASSES = (
    *(("cat", "dog"), ("1", "2", "10"), ("yes", "no", "null"), ("nan", "0.5", "x y"), ("é", "e")),
    *(("连衣裙", "半身裙", "外套"), ("true", "false"), ("001", "01"), ("it's", "100%", "#1")),
)
ENDS = ("\n", "\n", "\r\n", "\r")
CODECS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030")
SUFFIX = re.compile(r"\.[A-Za-z0-9]+$")


def some_names(rng: random.Random, hard: bool = False) -> list[str]:
    """Distinct relative paths of images, some of them in folders."""
    names = [*PLAIN_NAMES, *(HARD_NAMES if hard else ())]
    numbered = [f"{rng.choice(['', 'n/', 'Images/'])}{number:04}.jpg" for number in range(9)]
    return rng.choice([rng.sample(names, rng.randint(4, 12)), numbered[: rng.randint(4, 9)]])


def put_images(folder: Path, names: Iterable[str]) -> None:
    """Create the files; readers of label files do not look into those with a suffix."""
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def rows_text(rows: Sequence[Sequence[str]], rng: random.Random, delimiter: str = ",") -> str:
    """The rows as CSV, with more quotes than needed, blank lines and all ends of lines."""
    end, text = rng.choice(ENDS), io.StringIO(newline="")
    quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)
    for row in rows:
        writer.writerow(row)
        text.write(rng.choice(["", "", "", "", "", end, delimiter * (len(row) - 1) + end]))
    written = text.getvalue()
    return written[: -len(end)] if rng.random() < 0.2 and written.endswith(end) else written


def encoded(text: str, rng: random.Random) -> bytes:
    """The text in an encoding that its bytes show for certain."""
    codecs = ["utf-8", "utf-8", "utf-8-sig", "utf-16"]
    letters = {letter for letter in text if letter > "\x7f"}
    if not letters:
        codecs += ["utf-16-le", "utf-16-be"]
    if letters and all("\u4e00" <= letter <= "\u9fff" for letter in letters):
        codecs += ["gb18030"] * 2
    return text.encode(rng.choice(codecs))


def readings(content: bytes, delimiters: str) -> Iterator[list[list[str]]]:
    """The rows of stripped fields by each encoding and delimiter, with naive lines and quotes."""
    for codec in CODECS:
        try:
            text = content.decode(codec)
        except UnicodeDecodeError:
            continue
        for delimiter in delimiters:
            lines = io.StringIO(text, newline="")
            for spaces in (False, True):
                try:
                    rows = list(csv.reader(lines, delimiter=delimiter, skipinitialspace=spaces))
                except csv.Error:
                    continue
                stripped = [[field.strip() for field in row] for row in rows]
                yield [row for row in stripped if any(row)]
                lines.seek(0)


def assert_explained(
    content: bytes, records: Iterable[Sequence[str]], delimiters: str = ",;\t"
) -> None:
    """AssertionError unless each row but a header is a record in some reading, and vice versa.

    A record is the path of an image and more fields, such as its label, in any order of columns.
    """
    wanted = {(_stem(name), *fields) for name, *fields in records}
    for rows in readings(content, delimiters):
        for header in (0, 1):
            made = [_records_of(row, wanted) for row in {tuple(row) for row in rows[header:]}]
            if all(made) and set().union(*made) == wanted:
                return
    raise AssertionError(f"rows that no reading of the file has, or not all: {sorted(wanted)[:5]}")


def _records_of(row: Sequence[str], wanted: Iterable[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """The records that a row may be."""
    stems, fields = {_stem(field) for field in row}, set(row)
    return {each for each in wanted if each[0] in stems and fields.issuperset(each[1:])}


def _stem(path: str) -> str:
    """The last part of a path without its suffix, in composed letters."""
    name = re.split(r"[/\\]", path.strip().rstrip("/\\"))[-1]
    return unicodedata.normalize("NFC", SUFFIX.sub("", name.strip()))
