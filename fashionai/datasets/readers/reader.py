"""The interface of a reader module, and the lookup of the reader of a task.

A reader module reads the files of one family of data sets and defines one object, READER. In
its simplest form::

    def read_pets(data: Path, task: Task) -> DataSet:
        images = [LabelledImage(...) for ... in ...]
        return DataSet(task, images, notes=[])

    READER = Reader(read_pets)

The other fields of Reader are for families whose question or label files differ from plain
tables. fashionai.families lists the reader modules.
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

HINT_AT_DATA = "Give the folder of the files with --data"


class QuestionFile(NamedTuple):
    """The format of a competition's own file that lists the images to predict.

    ``place`` is the file's path relative to the data folder, as the competition publishes it.
    ``matches(rows)`` tells from the fields of the first two rows whether a file has the format.
    ``read(file, data)`` returns the images to predict in the order of the rows. ``names(file)``
    returns the image name of each row, and the row's task or None, without looking for images.
    """

    place: str
    matches: Callable[[Sequence[Sequence[str]]], bool]
    read: Callable[[Path, Path], list[ImageToPredict]]
    names: Callable[[Path], list[tuple[str, Optional[Task]]]]


class Reader(NamedTuple):
    """How the files of one family are read; only ``read`` is required.

    ``read(data, task)`` returns the labelled images of a task below the data folder. A family
    with an option (see fashionai.families.ShareOption) gets its value as a keyword argument.
    It raises DataError, with file and line, for what it cannot use.

    ``questions`` is the family's own format of question files.

    ``parse_marks(task, label)`` turns the text of a label into marks ``(C,) int8`` (see
    fashionai.metrics) and returns None for a text that is not a label. Without it, a label
    stands for its class alone.

    ``relabel(label, class_index)`` returns the text of a label with another class. Without it, that
    is the name of the class. A family with ``parse_marks`` has it.

    ``image_name(source)`` turns the ``source`` of a LabelledImage into the name that the
    family's label files and prediction files give the image.

    ``read_label_rows(file)`` yields the rows of label files that name the task in each row.

    ``label_columns`` are the family's own names of the label column in CSV files, in lower
    case and without punctuation.
    """

    read: Callable[..., DataSet]
    questions: Optional[QuestionFile] = None
    parse_marks: Optional[Callable[[Task, str], Optional[np.ndarray]]] = None
    relabel: Optional[Callable[[str, int], str]] = None
    image_name: Callable[[str], str] = str
    read_label_rows: Optional[Callable[[Path], Iterator[LabelRow]]] = None
    label_columns: tuple[str, ...] = ()


def _no_label_files(*_: object, **__: object) -> DataSet:
    raise AssertionError("tasks without a family are read by read_table or read_class_folders")


# For tasks without a family: the user's own, and those of a family unknown to this version.
PLAIN_READER = Reader(_no_label_files)


def reader_of(task: Task) -> Reader:
    """Return the reader of the task's family, or PLAIN_READER for a task without a family."""
    return _load(task.family) if task.family in FAMILIES else PLAIN_READER


def readers() -> Iterator[Reader]:
    """Yield the readers of all families in the order of FAMILIES."""
    return map(_load, FAMILIES)


def _load(family: str) -> Reader:
    reader: Reader = importlib.import_module(FAMILIES[family].reader).READER
    return reader
