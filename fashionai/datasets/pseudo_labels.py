"""Pseudo-labels: a CSV file of images whose class a network has predicted, to train on.

A row names an image by its path relative to the file's folder, its predicted class, and the
probability of that class. prepare adds the images to the training split alone.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from fashionai.datasets.readers.reader import reader_of
from fashionai.datasets.records import DataSet, LabelledImage
from fashionai.errors import DataError, nearest, shown
from fashionai.files.formats.csv_files import rows_below, write_rows
from fashionai.files.outputs import csv_kind
from fashionai.tasks import Task

COLUMNS = ("path", "label", "probability")
# What write_pseudo_labels writes.
PSEUDO_LABELS = csv_kind("pseudo-labels", COLUMNS)
# In the manifest, sources of these images begin with this in place of the data set's folder.
SOURCE_FOLDER = "pseudo-labels"


class PseudoLabel(NamedTuple):
    """An image file with its predicted class, a label of the task, and the class's probability."""

    path: Path
    label: str
    probability: float


def write_pseudo_labels(file: Path, labels: Iterable[PseudoLabel]) -> None:
    """Write pseudo-labels atomically, with paths relative to the file's folder."""
    rows = (
        (os.path.relpath(path.absolute(), file.parent.absolute()), label, f"{probability:.6f}")
        for path, label, probability in labels
    )
    write_rows(file, [COLUMNS, *rows])


def read_pseudo_labels(file: Path, task: Task) -> list[LabelledImage]:
    """Read the images of a file of pseudo-labels, for the training split.

    Raises DataError, with file and line, for another header, an unknown class, a probability
    that is none, and an image that is missing or listed twice.
    """
    images: dict[str, LabelledImage] = {}
    for fields, where in rows_below(file, COLUMNS):
        image = _parse(file, fields, task, where)
        first = images.setdefault(image.source, image)
        if first.where != where:
            raise DataError(f"{where}: {shown(fields[0])} is listed twice, first at {first.where}")
    return list(images.values())


def with_pseudo_labels(data_set: DataSet, file: Path) -> DataSet:
    """Add the images of a file of pseudo-labels to a data set; errors as for read_pseudo_labels."""
    return data_set._replace(images=[*data_set.images, *read_pseudo_labels(file, data_set.task)])


def _parse(file: Path, fields: Sequence[str], task: Task, where: str) -> LabelledImage:
    path, label, probability = fields
    if label not in task.classes:
        raise DataError(
            f"{where}: label is '{shown(label)}', which is no class of {task.name}",
            nearest(label, task.classes),
        )
    # A backslash separates folders, unless a file has it in its name.
    spellings = [posixpath.normpath(each) for each in (path, path.replace("\\", "/"))]
    found = next((each for each in spellings if (file.parent / each).is_file()), None)
    if found is None:
        raise DataError(f"{where}: image {shown(str(file.parent / spellings[-1]))} does not exist")
    index = task.classes.index(label)
    relabel = reader_of(task).relabel
    return LabelledImage(
        source=f"{SOURCE_FOLDER}/{found}",
        path=file.parent / found,
        content=None,
        class_index=index,
        label=label if relabel is None else relabel("n" * len(task.classes), index),
        where=where,
        split="train",
        probability=_probability(probability, where),
    )


def _probability(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise DataError(f"{where}: probability is '{shown(text)}', expected a number from 0 to 1")
    return value
