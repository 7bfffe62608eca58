"""Labels for scoring prediction files: from label files, answer files or prepared folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fashionai.datasets.names import SPLITS
from fashionai.datasets.prepared.folders import MANIFEST, read_split
from fashionai.datasets.readers.label_list import read_label_list
from fashionai.datasets.readers.reader import reader_of, readers
from fashionai.datasets.records import LabelRow
from fashionai.errors import DataError
from fashionai.families import full_names
from fashionai.metrics import NO, YES
from fashionai.predictions.formats import TABLE, Format, RowKey, format_of, row_key
from fashionai.scoring.joining import check_same_classes, raise_for_rows
from fashionai.tasks import Task


class LabelledRow(NamedTuple):
    """The true marks ``(C,) int8`` of one image for one task, see fashionai.metrics.

    Images of a held-out background have no YES. ``image`` is the image's name in label files.
    ``split`` is empty for labels of a file. ``where`` is the line of that file, or the
    prepared folder.
    """

    image: str
    task: Task
    marks: np.ndarray
    split: str
    where: str

    @property
    def is_background(self) -> bool:
        """Whether the image belongs to none of the task's classes."""
        return not self.marks.any()

    def key(self, file_format: Format) -> RowKey:
        """The key of the row's prediction in a file of this format."""
        return row_key(file_format.image_name(self.image), task_in(file_format, self.task))


Labels = Mapping[RowKey, LabelledRow]


def task_in(file_format: Format, task: Task) -> Task:
    """The task as a file of this format describes it: a table has its classes but not its name."""
    return Task("", (), task.classes, TABLE.name) if file_format is TABLE else task


def read_labels(
    paths: Sequence[Path], tasks: Sequence[Task] = (), task_names: Sequence[str] = ()
) -> dict[RowKey, LabelledRow]:
    """All labelled rows of label files and prepared folders, by the key of their prediction.

    A path is a label file of the tasks' family, a prepared task folder or its manifest.csv, or
    a folder of prepared task folders. For predictions of one task it may also be a CSV of
    paths and labels, where the family's prediction file holds one task. With ``tasks``, rows
    that their prediction file cannot have are left out. With ``task_names``, rows of other tasks
    are left out, if there are any rows of the named tasks.

    Raises DataError for bad labels, for prepared folders that were edited, and for a row with
    two different labels.
    """
    rows = [row for path in paths for row in _read(path, tasks)]
    named = full_names(task_names)
    rows = [row for row in rows if row.task.name in named] or rows
    file_format = format_of(tasks[0]) if tasks else None
    labels: dict[RowKey, LabelledRow] = {}
    for row in _in_file_of(tasks, file_format, rows) if file_format else rows:
        first = labels.setdefault(row.key(file_format or format_of(row.task)), row)
        if first is not row and not np.array_equal(first.marks, row.marks):
            _raise_for_two_labels(first, row)
    return labels


def _raise_for_two_labels(first: LabelledRow, second: LabelledRow) -> None:
    """DataError for two rows that a prediction file has one row for."""
    if first.task != second.task:
        raise DataError(
            f"{second.image} has labels of {first.task.name} and of {second.task.name}, "
            "and the prediction file names no task",
            "Give --labels the folder of one task, or name it with --task of evaluate",
        )
    raise DataError(f"{second.where}: {second.image} has another label here than in {first.where}")


class TaskLabels(NamedTuple):
    """True marks ``(N, C) int8`` of N rows of one task, and which rows have a YES, ``(N,) bool``.

    Rows without a label and rows of a held-out background have none. ``task`` is the task of
    the labels, which have its name even where the predictions do not.
    """

    task: Task
    marks: np.ndarray
    known: np.ndarray


def labels_of(
    task: Task, images: Sequence[str], labels: Labels, names: tuple[str, str]
) -> TaskLabels:
    """The labels of the predicted rows of one task; rows without a label get marks of NO.

    ``names`` are the files of the predictions and of the labels. Raises DataError, which
    names them, when the classes differ.
    """
    found = [labels.get(row_key(image, task)) for image in images]
    named = task
    marks = np.full((len(images), len(task.classes)), NO, dtype=np.int8)
    for index, row in enumerate(found):
        if row is not None:
            check_same_classes(task, row.task, names)
            named, marks[index] = row.task, row.marks
    return TaskLabels(named, marks, marks.any(axis=1))


def all_labels_of(
    task: Task, images: Sequence[str], labels: Labels, names: tuple[str, str]
) -> TaskLabels:
    """The labels of the predicted rows of one task; DataError for rows without a label."""
    unknown = [(image, task.name) for image in images if row_key(image, task) not in labels]
    raise_for_rows(unknown, names[1], "has no label for", names[0])
    return labels_of(task, images, labels, names)


def _in_file_of(
    tasks: Sequence[Task], file_format: Format, rows: Sequence[LabelledRow]
) -> Sequence[LabelledRow]:
    """The rows that a prediction file of these tasks can have.

    Other data sets may use the same names for images. A file that holds one task has the rows
    of that task, or all rows if no labels have that task, so that joining reports the difference.
    """
    fitting = [row for row in rows if file_format is TABLE or format_of(row.task) is file_format]
    same = [row for row in fitting if task_in(file_format, row.task) in tasks]
    return fitting if file_format.holds_tasks else same or fitting


def _read(path: Path, tasks: Sequence[Task]) -> Iterator[LabelledRow]:
    if path.name == MANIFEST:
        path = path.parent
    if path.is_file() and len(tasks) == 1 and not format_of(tasks[0]).holds_tasks:
        yield from _read_list(path, tasks[0])
        return
    if not path.is_dir():
        for row in _label_file_reader(tasks)(path):
            yield LabelledRow(row.image, row.task, row.marks, "", row.where)
        return
    inner = sorted(manifest.parent for manifest in path.glob(f"*/{MANIFEST}"))
    for folder in inner or [path]:
        yield from _read_folder(folder)


def _label_file_reader(tasks: Sequence[Task]) -> Callable[[Path], Iterator[LabelRow]]:
    """The function that reads label files of these tasks, or of the first family that has one."""
    found = (reader.read_label_rows for reader in (*map(reader_of, tasks), *readers()))
    return next(read for read in found if read is not None)


def _read_list(path: Path, task: Task) -> Iterator[LabelledRow]:
    """Rows of a CSV of paths and labels of the predicted task."""
    names = [name for reader in readers() for name in reader.label_columns]
    for listed in read_label_list(path, task.labels, names):
        # A held-out background is not a class: its rows have no YES.
        marks = np.full(len(task.labels), NO, dtype=np.int8)
        marks[listed.label_index] = YES
        yield LabelledRow(listed.path, task, marks[: len(task.classes)], "", listed.where)


def _read_folder(folder: Path) -> Iterator[LabelledRow]:
    present = [split for split in SPLITS if (folder / split).is_dir()]
    # For a folder without splits, reading the first split raises the error.
    for split in present or SPLITS[:1]:
        prepared = read_split(folder, split, background=True)
        for source, marks in zip(prepared.sources, prepared.marks):
            image = reader_of(prepared.task).image_name(source)
            yield LabelledRow(image, prepared.task, marks, split, f"{folder} ({split})")
