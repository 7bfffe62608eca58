"""What lists the images to predict: lists, CSV files, folders and the files of competitions."""

from __future__ import annotations

import random
from pathlib import Path
from typing import NamedTuple, Optional

from commands import attempt
from damage import damaged
from rows import ENDS, assert_explained, encoded, put_images, rows_text, some_names

from fashionai.datasets.questions import names_to_predict, read_images_to_predict


class Case(NamedTuple):
    """A file, the images that exist, the column of paths, and the images if it is sound."""

    content: bytes
    names: tuple[str, ...]
    column: Optional[str]
    expected: Optional[list[str]]


def make(rng: random.Random) -> Case:
    """A plain list, a CSV file with further columns, or a file of FashionAI or of the cacti."""
    names, column = some_names(rng, hard=True), None
    kind = rng.choice(["list", "table", "column", "attributes", "cacti"])
    if kind == "attributes":
        names = [f"Images/skirt_length_labels/{number}.jpg" for number in range(len(names))]
        text = rows_text([[name, "skirt_length_labels", ""] for name in names], rng)
    elif kind == "cacti":
        names = [name.replace("/", "_") for name in names]
        text = rows_text([["id", "has_cactus"], *([name, "0.5"] for name in names)], rng)
    elif kind == "list":
        names = [name for name in names if '"' not in name]
        lines = rng.choice([names, ["path", *names]])
        text = rng.choice(ENDS).join([*lines, *rng.choice([[], [""], ["", ""]])])
    else:
        header = [["size", "image", "when"]] if kind == "table" else [["a", "b", "c"]]
        column = rng.choice(["b", "2"]) if kind == "column" else None
        rows = [[str(at), name, "2020-01-02"] for at, name in enumerate(names)]
        text = rows_text([*header, *rows], rng, rng.choice(",;\t"))
    content = encoded(text, rng)
    put = tuple(f"lists/test/{name}" if kind == "cacti" else name for name in names)
    if rng.random() < 0.5:
        return Case(content, put, column, names)
    return Case(damaged(content, rng), put, column, None)


def check(case: Case, folder: Path) -> str:
    """Read the file; each row is an image."""
    file = folder / "lists/q.csv"
    put_images(folder, [*case.names, "lists/q.csv"])
    file.write_bytes(case.content)
    read = attempt(read_images_to_predict, file, folder, case.column, folder)
    if not case.column:
        names = attempt(names_to_predict, file)
        if case.expected is not None and not {",", ";"} & set("".join(case.names)):
            assert names.word == "accepted", f"names were refused: {names.result}"
            assert [name for name, _ in names.result] == case.expected
    if read.word == "accepted":
        assert all(each.path.is_file() for each in read.result)
        assert_explained(case.content, [(each.image,) for each in read.result], ",;\t\v")
    if case.expected is not None:
        assert read.word == "accepted", f"a sound file was refused: {read.result}"
        assert [each.image for each in read.result] == case.expected
    return read.word
