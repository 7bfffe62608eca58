"""FashionAI attributes (Tianchi 2018): label, question and answer files.

Rows are ``Images/<task>/<file>.jpg,<task>,<label>``; a label has one letter a
class: one ``y`` (yes), the rest ``n`` (no) or ``m`` (maybe). Paths are relative
to the folder of the set (base, web ...) that the label file belongs to.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Optional

import numpy as np

from fashionai import csv_files
from fashionai.datasets.readers.image_files import is_image_name
from fashionai.datasets.readers.reader import QuestionFile, Reader
from fashionai.datasets.records import DataSet, ImageToPredict, LabelledImage, LabelRow
from fashionai.errors import ConfigError, DataError
from fashionai.families import FASHIONAI_TASKS, find_task, known_task
from fashionai.metrics import MARK_LETTERS
from fashionai.tasks import Task

# Training sets, in the order in which they were released.
TRAINING_LABELS = (
    "base/Annotations/label.csv",
    "web/Annotations/skirt_length_labels.csv",
    "train/Annotations/label.csv",
)
TEST_QUESTIONS = "rank/Tests/question.csv"


class AttributeRow(NamedTuple):
    """One row of a label, question or answer file; ``label`` is its text."""

    image: str
    task: Task
    label: str
    where: str


def read_attribute_rows(path: Path) -> list[AttributeRow]:
    """All rows of a label or question file, the label as it stands.

    Raises DataError with file and line for a row of another shape, an unknown
    task or a path that leaves the data folder.
    """
    return [
        _parse_row(fields, where)
        for position, (fields, where) in enumerate(csv_files.read_rows(path))
        if not (position == 0 and _is_header(fields))
    ]


def read_training_images(data: Path, task: Task) -> list[LabelledImage]:
    """Labelled images of one task from every training set that is there.

    Raises DataError when no set is there, when the task has no rows, for a bad
    label anywhere in the files, and for missing images.
    """
    label_files = [data / name for name in TRAINING_LABELS if (data / name).is_file()]
    if not label_files:
        raise DataError(
            f"{data}: no label file found",
            f"Unpack the competition's archives so that {data / TRAINING_LABELS[0]} exists",
        )
    images = []
    present: dict[str, None] = {}
    for label_file in label_files:
        root = label_file.parent.parent
        for row in read_attribute_rows(label_file):
            marks = parse_label(row)
            present[row.task.name] = None
            if row.task == task:
                images.append(
                    LabelledImage(
                        source=f"{root.name}/{row.image}",
                        path=root / row.image,
                        content=None,
                        class_index=int(marks.argmax()),
                        label=row.label,
                        where=row.where,
                    )
                )
    if not images:
        names = ", ".join(str(path) for path in label_files)
        others = f"found rows of {', '.join(present)}" if present else "and none of other tasks"
        raise DataError(f"{names}: no rows of {task.name}, {others}")
    _check_images_exist([(image.path, image.where) for image in images if image.path])
    return images


def read_images_to_predict(path: Path, data: Path) -> list[ImageToPredict]:
    """The rows to predict and their images.

    Images lie below the folder above the file's own, as in the archives, else
    below ``data`` or its rank folder. Raises DataError for a missing image or a
    row that is asked twice.
    """
    rows = read_attribute_rows(path)
    if not rows:
        raise DataError(f"{path}: no rows")
    _check_distinct(rows)
    home = path.parent.parent
    places = (home, data, data / "rank")
    root = next((place for place in places if (place / rows[0].image).is_file()), home)
    images = [root / row.image for row in rows]
    _check_images_exist([(image, row.where) for image, row in zip(images, rows)])
    return [ImageToPredict(row.image, image, row.task) for row, image in zip(rows, images)]


def read_answers(path: Path) -> list[AttributeRow]:
    """The rows of an answer file, labels checked; one row an image.

    A row that is repeated with the same label counts once (the released answers
    to test B repeat those to test A); with another label it is a DataError.
    """
    answers: dict[tuple[str, str], AttributeRow] = {}
    for row in read_attribute_rows(path):
        parse_label(row)
        first = answers.setdefault((row.image, row.task.name), row)
        if first.label != row.label:
            raise DataError(
                f"{row.where}: {row.image} has label '{row.label}' here "
                f"and '{first.label}' at {first.where}"
            )
    if not answers:
        raise DataError(f"{path}: no rows")
    return list(answers.values())


def parse_label(row: AttributeRow) -> np.ndarray:
    """The marks of a row's label, ``(C,) int8`` of NO, MAYBE and YES.

    Raises DataError for a wrong length, a letter other than y, m or n, and no
    or two ``y``.
    """
    classes = len(row.task.classes)
    label = row.label
    if len(label) != classes:
        raise DataError(
            f"{row.where}: label '{label}' has {len(label)} letters, "
            f"expected {classes} for {row.task.name}"
        )
    for letter in label:
        if letter not in MARK_LETTERS:
            raise DataError(f"{row.where}: label '{label}' has '{letter}', expected y, m or n")
    if label.count("y") != 1:
        raise DataError(f"{row.where}: label '{label}' has {label.count('y')} 'y', expected one")
    return np.array([MARK_LETTERS[letter] for letter in label], dtype=np.int8)


@functools.lru_cache(maxsize=4096)  # a manifest repeats the same few texts
def parse_marks(task: Task, label: str) -> Optional[np.ndarray]:
    """The marks of a label's text, ``(C,) int8``; None for a text that is no label of the task."""
    try:
        marks = parse_label(AttributeRow("", task, label, ""))
    except DataError:
        return None
    marks.setflags(write=False)
    return marks


def image_name(source: str) -> str:
    """A manifest's ``source`` as label and prediction files write it.

    They leave out the folder of the set, which comes first in ``source``.
    """
    return source.split("/", 1)[1]


def is_question_file(first_rows: Sequence[Sequence[str]]) -> bool:
    """Whether a row names a FashionAI task, or an image as the competition does."""
    return any(_is_attribute_row(fields) for fields in first_rows)


def names_to_predict(path: Path) -> list[tuple[str, Optional[Task]]]:
    """Image and task of every row of a question file; the images need not exist."""
    return [(row.image, row.task) for row in read_attribute_rows(path)]


def read_labels(path: Path) -> Iterator[LabelRow]:
    """The rows of a label or answer file with their marks; errors as for read_answers."""
    for row in read_answers(path):
        yield LabelRow(row.image, row.task, parse_label(row), row.where)


def _is_attribute_row(fields: Sequence[str]) -> bool:
    named = known_task(fields[1]) if len(fields) > 1 else None
    return fields[0].startswith("Images/") or named in FASHIONAI_TASKS


def _is_header(fields: Sequence[str]) -> bool:
    """A header names columns; a row's first field is the path of an image file."""
    return "/" not in fields[0] and not is_image_name(fields[0])


def _parse_row(fields: Sequence[str], where: str) -> AttributeRow:
    if len(fields) not in (2, 3):
        count = f"{len(fields)} field" + ("s" if len(fields) > 1 else "")
        raise DataError(f"{where}: found {count}, expected image,task,label")
    image, task_name, label = [*fields, ""][:3]
    parts = PurePosixPath(image.replace("\\", "/")).parts
    if not parts:
        raise DataError(f"{where}: no image path, expected image,task,label")
    if image.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
        raise DataError(
            f"{where}: path '{image}' leaves the data folder, expected Images/<task>/<file>"
        )
    try:
        task = find_task(task_name)
    except ConfigError as error:
        raise DataError(f"{where}: {error}") from None
    return AttributeRow(image, task, label, where)


def _check_distinct(rows: Sequence[AttributeRow]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for row in rows:
        first = seen.setdefault((row.image, row.task.name), row.where)
        if first != row.where:
            raise DataError(f"{row.where}: {row.image} was already asked at {first}")


def _check_images_exist(images: Sequence[tuple[Path, str]]) -> None:
    missing = [(path, where) for path, where in images if not path.is_file()]
    if missing:
        path, where = missing[0]
        more = f" (and {len(missing) - 1:,} more)" if len(missing) > 1 else ""
        raise DataError(f"{where}: image {path} does not exist{more}")


READER = Reader(
    lambda data, task: DataSet(task, read_training_images(data, task), []),
    QuestionFile(TEST_QUESTIONS, is_question_file, read_images_to_predict, names_to_predict),
    parse_marks,
    image_name,
    read_labels,
)
