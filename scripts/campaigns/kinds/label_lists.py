"""Lists of paths with their labels, as names or as indices, of images that need not exist."""

from __future__ import annotations

import random
from pathlib import Path
from typing import NamedTuple, Optional

from commands import attempt
from damage import damaged
from rows import assert_explained, encoded, rows_text, some_names

from fashionai.datasets.readers.label_list import read_label_list

LABELS = (("cat", "dog", "a bird"), ("1", "2", "10"), ("连衣裙", "半身裙"), ("yes", "no", "null"))


class Case(NamedTuple):
    """A file, the names of the labels, and the path and index of each row if it is sound."""

    content: bytes
    labels: tuple[str, ...]
    expected: Optional[list[tuple[str, int]]]


def make(rng: random.Random) -> Case:
    """One list, with a header or without."""
    labels = rng.choice(LABELS)
    expected = [(name, rng.randrange(len(labels))) for name in some_names(rng)]
    as_index = rng.random() < 0.3 and not labels[0].isdigit()
    point = rng.choice(["", "", ".0", ".000000"]) if as_index or labels[0].isdigit() else ""
    rows = [[name, (str(at) if as_index else labels[at]) + point] for name, at in expected]
    kind = rng.choice(["none", "header", "turned", "more"])
    if kind != "none":
        rows.insert(0, ["path", rng.choice(["label", "Class"])])
    if kind == "turned":
        rows = [row[::-1] for row in rows]
    if kind == "more":
        rows = [[*row, "width" if not at else str(at)] for at, row in enumerate(rows)]
    content = encoded(rows_text(rows, rng, rng.choice(",;\t")), rng)
    if rng.random() < 0.5:
        return Case(content, labels, expected)
    return Case(damaged(content, rng), labels, None)


def check(case: Case, folder: Path) -> str:
    """Read the list; each row is used, with what it says."""
    (folder / "l.csv").write_bytes(case.content)
    read = attempt(read_label_list, folder / "l.csv", case.labels)
    if read.word == "accepted":
        assert_explained(case.content, [(row.path,) for row in read.result])
    if case.expected is not None:
        assert read.word == "accepted", f"a sound list was refused: {read.result}"
        assert [(row.path, row.label_index) for row in read.result] == case.expected
    return read.word
