"""Label, question and answer files of FashionAI."""

from __future__ import annotations

import random
from pathlib import Path
from typing import NamedTuple, Optional

from commands import attempt
from damage import damaged
from rows import assert_explained, encoded, put_images, rows_text

from fashionai.datasets.readers.fashionai import READER
from fashionai.datasets.reading import read_data_set
from fashionai.families import find_task

TASKS = {"skirt_length_labels": 6, "coat_length_labels": 8, "neck_design_labels": 5}


class Case(NamedTuple):
    """A label file, the paths of its images, and its rows if it is sound."""

    content: bytes
    names: tuple[str, ...]
    expected: Optional[list[list[str]]]


def make(rng: random.Random) -> Case:
    """Up to 20 rows of several tasks, and a header in some files."""
    rows = []
    for number in range(rng.randint(2, 20)):
        task = "skirt_length_labels" if number == 0 else rng.choice(list(TASKS))
        marks = ["y", *(rng.choice("nnm") for _ in range(TASKS[task] - 1))]
        rng.shuffle(marks)
        rows.append([f"Images/{task}/{number:03}.jpg", task, "".join(marks)])
    header = rng.choice([[], [["image", "task", "label"]], [["", "", ""]]])
    content = encoded(rows_text([*header, *rows], rng), rng)
    names = tuple(row[0] for row in rows)
    if rng.random() < 0.5:
        return Case(content, names, rows)
    return Case(damaged(content, rng), names, None)


def check(case: Case, folder: Path) -> str:
    """Read it as labels for training, as answers and as questions."""
    file = folder / "base/Annotations/label.csv"
    put_images(folder / "base", [*case.names, "Annotations/label.csv"])
    file.write_bytes(case.content)
    assert READER.read_label_rows is not None
    assert READER.questions is not None
    task = find_task("skirt")
    training = attempt(read_data_set, task, folder)
    answers = attempt(lambda path: list(READER.read_label_rows(path)), file)  # type: ignore[misc]
    questions = attempt(READER.questions.read, file, folder)
    if answers.word == "accepted":
        found = [(row.image, row.task.name, _letters(row.marks)) for row in answers.result]
        assert_explained(case.content, found, ",")
    if questions.word == "accepted":
        assert_explained(
            case.content, [(row.image, row.task.name) for row in questions.result], ","
        )
    if case.expected is not None:
        for each in (training, answers, questions):
            assert each.word == "accepted", f"a sound file was refused: {each.result}"
        assert [list(row) for row in found] == case.expected
        assert [[row.image, row.task.name] for row in questions.result] == [
            row[:2] for row in case.expected
        ]
        own = [row for row in case.expected if row[1] == task.name]
        assert [[image.source, image.label] for image in training.result.images] == [
            [f"base/{row[0]}", row[2]] for row in own
        ]
        assert all(row.label[row.class_index] == "y" for row in training.result.images)
    return training.word


def _letters(marks: list[int]) -> str:
    """The letters of the marks NO, MAYBE and YES, which are 0, 1 and 2."""
    return "".join("nmy"[mark] for mark in marks)
