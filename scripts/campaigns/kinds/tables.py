"""The user's own label files: CSV of any dialect, with columns of splits and groups."""

from __future__ import annotations

import random
from pathlib import Path
from typing import NamedTuple, Optional

from commands import attempt
from damage import damaged
from rows import CLASSES, assert_explained, encoded, put_images, rows_text, some_names

from fashionai.datasets.reading import read_own_table
from fashionai.datasets.records import DataSet

HEADERS = {"path": ("path", "Image_Path", "file name", "id"), "label": ("label", "Class", "target")}


class Record(NamedTuple):
    """What one row says."""

    path: str
    label: str
    split: str
    group: str


class Case(NamedTuple):
    """A file, the images that exist, the options, and the records if the file is sound."""

    content: bytes
    names: tuple[str, ...]
    columns: dict[str, str]
    expected: Optional[list[Record]]


def make(rng: random.Random) -> Case:
    """One table of up to twelve images, some of which are listed twice."""
    names, labels = some_names(rng, hard=True), rng.choice(CLASSES)
    records = []
    for number, name in enumerate(names):
        split = ["train", "test", "val"][number] if number < 2 else rng.choice(["train", "val"])
        group = f"{split} {rng.randint(1, 3)}"
        records.append(Record(name, labels[min(number, rng.randrange(len(labels)))], split, group))
    records[1] = records[1]._replace(label=labels[1])
    rows = rng.choice([records, [*records, *rng.sample(records, 2)]])
    columns = rng.choice([["path", "label"], list(Record._fields), ["path", "label", "split"]])
    rng.shuffle(columns)
    header = [rng.choice(HEADERS.get(column, (column,))) for column in columns]
    lines = [[getattr(row, column) for column in columns] for row in rows]
    if rng.random() < 0.5 or len(columns) > 2 or columns[0] == "label":
        lines.insert(0, header)
    content = encoded(rows_text(lines, rng, rng.choice(",;\t")), rng)
    given = {f"{name}_column": name for name in ("split", "group") if name in columns}
    expected = [
        Record(
            row.path,
            row.label,
            row.split if "split" in columns else "",
            row.group if "group" in columns else "",
        )
        for row in records
    ]
    if rng.random() < 0.5:
        return Case(content, tuple(names), given, expected)
    return Case(damaged(content, rng), tuple(names), given, None)


def check(case: Case, folder: Path) -> str:
    """Read the table; each row is used, with what it says."""
    (folder / "t.csv").write_bytes(case.content)
    put_images(folder / "images", case.names)
    read = attempt(read_own_table, "own", folder / "t.csv", folder / "images", (), **case.columns)
    if case.expected is not None:
        assert read.word == "accepted", f"a sound table was refused: {read.result}"
        assert _records(read.result) == _without_validation_chosen(case.expected)
    if read.word == "accepted":
        assert_explained(case.content, [(row.path, row.label) for row in _records(read.result)])
    return read.word


def _records(data_set: DataSet) -> list[Record]:
    """What was read. Classes that are whole numbers may be written with decimals."""
    for image in data_set.images:
        name = data_set.task.classes[image.class_index]
        assert image.label == name or float(image.label) == float(name), (image.label, name)
        assert image.path is not None
        assert image.path.is_file()
    return [
        Record(image.source, image.label, image.split or "", image.group)
        for image in data_set.images
    ]


def _without_validation_chosen(records: list[Record]) -> list[Record]:
    """Without images for validation, prepare chooses some among those for training."""
    if any(record.split == "val" for record in records):
        return records
    return [record._replace(split="") if record.split == "train" else record for record in records]
