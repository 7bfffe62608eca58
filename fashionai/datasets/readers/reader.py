"""What a family's reader module provides, and how the reader of a task is found.

A reader module has one object READER. Only ``read`` is required; the other parts are for
families whose label, question or answer files differ from plain tables.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from fashionai.datasets.records import DataSet, ImageToPredict, LabelRow
from fashionai.families import FAMILIES
from fashionai.tasks import Task


class QuestionFile(NamedTuple):
    """A competition's own file of the images to predict.

    ``place`` is where the competition puts it below the data folder. ``matches`` tells
    the file from others by its first two rows. ``read`` takes the file and the data folder,
    and ``names`` only reads the names of the images and the task of each row, if rows name one.
    """

    place: str
    matches: Callable[[Sequence[Sequence[str]]], bool]
    read: Callable[[Path, Path], list[ImageToPredict]]
    names: Callable[[Path], list[tuple[str, Optional[Task]]]]


class Reader(NamedTuple):
    """How the files of one family are read.

    ``read`` takes the data folder, the task and, by name, the family's option if there is one.
    ``parse_marks`` turns a label's text into marks ``(C,) int8`` (see fashionai.metrics), None
    for a text that is no label; without it a label only names its class. ``image_name``
    turns a manifest's ``source`` into the name that label and prediction files use.
    ``read_labels`` reads label files whose rows name their task. ``label_columns`` are
    the family's own names of the label column in CSV files, in lower case.
    """

    read: Callable[..., DataSet]
    questions: Optional[QuestionFile] = None
    parse_marks: Optional[Callable[[Task, str], Optional[np.ndarray]]] = None
    image_name: Callable[[str], str] = str
    read_labels: Optional[Callable[[Path], Iterator[LabelRow]]] = None
    label_columns: tuple[str, ...] = ()


def _no_label_files(*_: object, **__: object) -> DataSet:
    raise AssertionError("tasks of no family are read by read_table or read_class_folders")


# One's own tasks, and those of a family that this version does not know.
PLAIN_READER = Reader(_no_label_files)


def reader_of(task: Task) -> Reader:
    """The reader of the task's family."""
    return _load(task.family) if task.family in FAMILIES else PLAIN_READER


def readers() -> Iterator[Reader]:
    """The readers of all families."""
    return map(_load, FAMILIES)


def _load(family: str) -> Reader:
    reader: Reader = importlib.import_module(FAMILIES[family].reader).READER
    return reader
