"""FashionAI attributes (Tianchi 2018): label, question and answer files.

A row is ``Images/<task>/<file>.jpg,<task>,<label>``. A label has one letter per class: ``y``
(yes) for one class, and ``n`` (no) or ``m`` (maybe) for the others. Question files leave the
label empty; the answer files are the labels of the test images that the competition released.
Paths are relative to the folder of the set (base, web ...) that the file belongs to.
"""

from __future__ import annotations

import functools
import logging
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Optional

import numpy as np

from fashionai.datasets.readers.image_files import ImageFiles
from fashionai.datasets.readers.reader import QuestionFile, Reader
from fashionai.datasets.readers.tables.csv_dialect import is_existing_file
from fashionai.datasets.readers.tables.header import note_on_header
from fashionai.datasets.records import DataSet, ImageToPredict, LabelledImage, LabelRow
from fashionai.errors import ConfigError, DataError, counted, list_names, shown
from fashionai.families import FASHIONAI_TASKS, find_known_task, known_task
from fashionai.files.formats import csv_files
from fashionai.files.names import is_image_name
from fashionai.metrics import MARK_LETTERS
from fashionai.tasks import Task

logger = logging.getLogger(__name__)

# The label files of the training sets, in the order of their release.
TRAINING_LABELS = (
    "base/Annotations/label.csv",
    "web/Annotations/skirt_length_labels.csv",
    "train/Annotations/label.csv",
)
# How the names of all tasks end.
TASK_SUFFIX = "_labels"
TEST_QUESTIONS = "rank/Tests/question.csv"


class AttributeRow(NamedTuple):
    """One row of a label, question or answer file: ``label`` is its text, ``where`` its place."""

    image: str
    task: Task
    label: str
    where: str


def read_attribute_rows(path: Path) -> list[AttributeRow]:
    """Read all rows of a label, question or answer file without checking the labels.

    A header is optional. Raises DataError with file and line for a malformed row, an unknown
    task, and a path that leaves the data folder.
    """
    return [
        _parse_row(fields, where)
        for position, (fields, where) in enumerate(csv_files.read_csv_rows(path))
        if not (position == 0 and _is_header(fields))
    ]


def read_training_images(data: Path, task: Task) -> list[LabelledImage]:
    """Read the labelled images of one task from all training sets that exist below ``data``.

    Raises DataError when there is no set or no row of the task, for a malformed label of any
    task, and for missing images.
    """
    label_files = _label_files(data)
    if not label_files:
        raise DataError(
            f"{data}: no label file found",
            f"Unpack the competition's archives so that {data / TRAINING_LABELS[0]} exists",
        )
    images: list[LabelledImage] = []
    found_tasks: dict[str, None] = {}  # a dict keeps the order of the rows
    for label_file in label_files:
        root = label_file.parent.parent
        rows = read_attribute_rows(label_file)
        if not rows:
            raise DataError(f"{label_file}: no rows of {task.name}, and none of other tasks")
        marks = [parse_label(row) for row in rows]
        found_tasks.update((row.task.name, None) for row in rows)
        own = [(row, mark) for row, mark in zip(rows, marks) if row.task == task]
        files = _find_files([row for row, _ in own], ImageFiles(root))
        images += [
            LabelledImage(
                source=f"{root.name}/{file}",
                path=root / file,
                content=None,
                class_index=int(mark.argmax()),
                label=row.label,
                where=row.where,
            )
            for (row, mark), file in zip(own, files)
        ]
    if not images:
        names = ", ".join(str(path) for path in label_files)
        others = ", ".join(found_tasks)
        raise DataError(f"{names}: no rows of {task.name}, found rows of {others}")
    return images


def read_question_file(path: Path, data: Path) -> list[ImageToPredict]:
    """Return the test images of a question file in the order of its rows.

    As in the competition's archives, image paths are relative to the parent of the file's
    folder. If the first image is not found there, they are relative to ``data`` or ``data/rank``.
    Raises DataError for a file without rows, a missing image, and a repeated row.
    """
    rows = read_attribute_rows(path)
    if not rows:
        raise DataError(f"{path}: no rows")
    _check_distinct(rows)
    for note in _notes_on_header(path):
        logger.info(note)
    archive_root = path.parent.parent
    folders = [place for place in (archive_root, data, data / "rank") if place.is_dir()]
    places = [ImageFiles(folder) for folder in folders]
    files = next((each for each in places if is_existing_file(rows[0].image, each)), places[0])
    found = _find_files(rows, files)
    return [
        # One text for name and file takes less memory.
        ImageToPredict(row.image, row.image if row.image == file else file, row.task, files.root)
        for row, file in zip(rows, found)
    ]


def read_answers(path: Path) -> list[AttributeRow]:
    """Read an answer file, check its labels, and return one row per image and task.

    A repeated row with the same label counts once, because the released answers to test B
    repeat those to test A. Raises DataError for one with another label, for a malformed label,
    and for a file without rows.
    """
    answers: dict[tuple[str, str], AttributeRow] = {}
    for row in read_attribute_rows(path):
        parse_label(row)
        first = answers.setdefault((row.image, row.task.name), row)
        if first.label != row.label:
            raise DataError(
                f"{row.where}: {shown(row.image)} has label '{row.label}' here "
                f"and '{first.label}' at {first.where}"
            )
    if not answers:
        raise DataError(f"{path}: no rows")
    return list(answers.values())


def parse_label(row: AttributeRow) -> np.ndarray:
    """Return the marks of a row's label, ``(C,) int8`` of NO, MAYBE and YES.

    Raises DataError for a wrong length, a letter other than y, m and n, and a number of ``y``
    other than one.
    """
    classes = len(row.task.classes)
    label = row.label
    text = shown(label)
    if len(label) != classes:
        raise DataError(
            f"{row.where}: label '{text}' has {counted(len(label), 'letter')}, "
            f"expected {classes} for {row.task.name}"
        )
    for letter in label:
        if letter not in MARK_LETTERS:
            raise DataError(
                f"{row.where}: label '{text}' has '{shown(letter)}', expected y, m or n"
            )
    if label.count("y") != 1:
        raise DataError(f"{row.where}: label '{text}' has {label.count('y')} 'y', expected one")
    return np.array([MARK_LETTERS[letter] for letter in label], dtype=np.int8)


# Cached, because the rows of a manifest repeat the same few labels.
@functools.lru_cache(maxsize=4096)
def parse_marks(task: Task, label: str) -> Optional[np.ndarray]:
    """Return the marks of a label, ``(C,) int8``, read-only; None for a malformed label."""
    try:
        marks = parse_label(AttributeRow("", task, label, ""))
    except DataError:
        return None
    marks.setflags(write=False)
    return marks


def relabel(label: str, class_index: int) -> str:
    """Return the label with ``y`` for another class; the letters of the other classes stay."""
    letters = list(label.replace("y", "n"))
    letters[class_index] = "y"
    return "".join(letters)


def image_name(source: str) -> str:
    """Return the name that label and prediction files give the image with this ``source``.

    It is ``source`` without its first part, the folder of the set.
    """
    return source.split("/", 1)[1]


def is_question_file(first_rows: Sequence[Sequence[str]]) -> bool:
    """Return whether a row names a FashionAI task, or an image in the folder of one.

    Other images may lie in a folder ``Images`` too: they are listed alone, or with other columns.
    """
    return any(_is_attribute_row(fields) for fields in first_rows)


def read_question_names(path: Path) -> list[tuple[str, Optional[Task]]]:
    """Return the image and task of every row of a question file; the images need not exist."""
    return [(row.image, row.task) for row in read_attribute_rows(path)]


def read_label_rows(path: Path) -> Iterator[LabelRow]:
    """Yield the rows of a label or answer file with their marks; errors as for read_answers."""
    for note in (*csv_files.note_on_encoding(path), *_notes_on_header(path)):
        logger.info(note)
    for row in read_answers(path):
        yield LabelRow(row.image, row.task, parse_label(row), row.where)


def _is_attribute_row(fields: Sequence[str]) -> bool:
    if len(fields) > 1 and known_task(fields[1]) in FASHIONAI_TASKS:
        return True
    folder = re.match(r"Images[/\\]+([^/\\]*)", fields[0])
    if folder is None:
        return False
    in_folder_of_task = folder[1] in [task.name for task in FASHIONAI_TASKS]
    if len(fields) == 1:  # without a comma a row of another separator
        return in_folder_of_task and not is_image_name(fields[0])
    return in_folder_of_task or fields[1].endswith(TASK_SUFFIX)


def _is_header(fields: Sequence[str]) -> bool:
    """Return whether a row is a header: no field is an image, a task, or a label of y, m and n."""
    if re.search(r"[/\\]", fields[0]) or is_image_name(fields[0]):
        return False
    has_label = len(fields) > 2 and fields[2] != "" and set(fields[2]) <= set(MARK_LETTERS)
    return not has_label and (len(fields) < 2 or known_task(fields[1]) is None)


def _parse_row(fields: Sequence[str], where: str) -> AttributeRow:
    if len(fields) not in (2, 3):
        count = counted(len(fields), "field")
        raise DataError(
            f"{where}: found {count}, expected image,task,label",
            "Remove the columns behind these three" if len(fields) > 3 else "",
        )
    image, task_name, label = [*fields, ""][:3]
    image = image.replace("\\", "/")
    parts = PurePosixPath(image).parts
    if not parts:
        raise DataError(f"{where}: no image path, expected image,task,label")
    if image.startswith("/") or ".." in parts or ":" in parts[0]:
        raise DataError(
            f"{where}: path '{shown(fields[0], 400)}' leaves the data folder, "
            "expected Images/<task>/<file>"
        )
    try:
        task = find_known_task(shown(task_name))
    except ConfigError as error:
        raise DataError(f"{where}: {error}") from None
    return AttributeRow(image, task, label, where)


def _check_distinct(rows: Sequence[AttributeRow]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for row in rows:
        first = seen.setdefault((row.image, row.task.name), row.where)
        if first != row.where:
            raise DataError(f"{row.where}: {shown(row.image)} is listed twice, first at {first}")


def _find_files(rows: Sequence[AttributeRow], files: ImageFiles) -> list[str]:
    """Return the path of each row's image below the root; DataError for missing images."""
    found = [files.find(row.image, row.where) for row in rows]
    missing = [(row.image, row.where) for row, file in zip(rows, found) if file is None]
    if missing:
        raise files.missing(missing)
    return [file for file in found if file is not None]


def _notes_on_header(path: Path) -> list[str]:
    """Return a line for the user when the first row of a file was taken for a header."""
    first = next(csv_files.read_csv_rows(path), None)
    if first is None or not _is_header(first[0]):
        return []
    return [note_on_header(path, first[0], True)]


def _label_files(data: Path) -> list[Path]:
    """Return the label files that exist; a folder or broken link of such a name fails when read."""
    return [data / name for name in TRAINING_LABELS if os.path.lexists(data / name)]


def _notes_on_label_files(data: Path, task: Task) -> list[str]:
    """Return a line for the user when some of the label files of a task were not found."""
    files = _label_files(data)
    # A file that is named for a task has no rows of others.
    own = [name for name in TRAINING_LABELS if known_task(Path(name).stem) in (None, task)]
    missing = [name for name in own if data / name not in files]
    if not missing:
        return []
    return [f"labels read from {list_names(map(str, files))}; not found: {', '.join(missing)}"]


def _guesses(data: Path) -> list[str]:
    """Return lines for the user about headers and encodings of the label files."""
    return [
        note
        for file in _label_files(data)
        for note in (*csv_files.note_on_encoding(file), *_notes_on_header(file))
    ]


def read_attribute_data_set(data: Path, task: Task) -> DataSet:
    """Read the training sets below ``data`` for one task; errors as for read_training_images."""
    images = read_training_images(data, task)
    return DataSet(task, images, _notes_on_label_files(data, task), guesses=_guesses(data))


READER = Reader(
    read_attribute_data_set,
    QuestionFile(
        place=TEST_QUESTIONS,
        matches=is_question_file,
        read=read_question_file,
        names=read_question_names,
    ),
    parse_marks=parse_marks,
    relabel=relabel,
    image_name=image_name,
    read_label_rows=read_label_rows,
)
