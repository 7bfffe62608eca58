"""Labels to score prediction files with: label and answer files, or prepared folders."""

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
from fashionai.metrics import NO, YES
from fashionai.predictions.formats import TABLE, Format, RowKey, format_of
from fashionai.scoring.joining import check_same_classes, complain_of_rows
from fashionai.tasks import Task


class LabelledRow(NamedTuple):
    """The truth of one row: its marks ``(C,) int8``, see fashionai.metrics.

    Images of a held-out background have no YES. ``image`` is the path that the
    data set has for it. ``split`` is empty where the labels are a file, which has
    none; ``where`` is that file's line, or the prepared folder.
    """

    image: str
    task: Task
    marks: np.ndarray
    split: str
    where: str

    @property
    def is_background(self) -> bool:
        """Whether it is of none of the task's classes."""
        return not self.marks.any()

    def key(self, form: Format) -> RowKey:
        """The key of its prediction in a file of that format."""
        return form.image_name(self.image), task_in(form, self.task).name


Labels = Mapping[RowKey, LabelledRow]


def task_in(form: Format, task: Task) -> Task:
    """The task as such a prediction file shows it: a table tells its classes, not its name."""
    return Task("", (), task.classes, TABLE.name) if form is TABLE else task


def read_labels(paths: Sequence[Path], tasks: Sequence[Task] = ()) -> dict[RowKey, LabelledRow]:
    """Every labelled row of label files and prepared folders, by its prediction's key.

    A path is a file of rows ``image,task,label``, a prepared task folder or its
    manifest.csv, or a folder that holds prepared ones; for predictions of one task, if
    that is not FashionAI's, also a CSV of paths and labels. Rows that the prediction file of
    ``tasks``, if given, cannot have are left out. Raises DataError for bad labels, for
    folders that were edited, and for a row with two different labels.
    """
    rows = [row for path in paths for row in _read(path, tasks)]
    form = format_of(tasks[0]) if tasks else None
    labels: dict[RowKey, LabelledRow] = {}
    for row in _in_file_of(tasks, form, rows) if form else rows:
        first = labels.setdefault(row.key(form or format_of(row.task)), row)
        if first is not row and not np.array_equal(first.marks, row.marks):
            raise DataError(
                f"{row.where}: {row.image} has another label here than in {first.where}"
            )
    return labels


class TaskLabels(NamedTuple):
    """The truth of N rows of one task: marks ``(N, C) int8``, and which rows have a YES, ``(N,)``.

    Without one are rows that have no label, and those of a held-out background.
    ``task`` is that of the labels, which know its name also where predictions do not.
    """

    task: Task
    marks: np.ndarray
    known: np.ndarray


def labels_of(
    task: Task, images: Sequence[str], labels: Labels, names: tuple[str, str]
) -> TaskLabels:
    """The labels of the predicted rows of one task; marks of rows without one are NO.

    ``names`` are the files of the predictions and of the labels, for the
    DataError that is raised when the classes differ.
    """
    found = [labels.get((image, task.name)) for image in images]
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
    """As labels_of; DataError for rows without a label as well."""
    unknown = [(image, task.name) for image in images if (image, task.name) not in labels]
    complain_of_rows(unknown, names[1], "has no label for", names[0])
    return labels_of(task, images, labels, names)


def _in_file_of(
    tasks: Sequence[Task], form: Format, rows: Sequence[LabelledRow]
) -> Sequence[LabelledRow]:
    """Rows that a prediction file of these tasks may have: other data sets call images alike.

    A file of one task has those of that task alone, or of all where none is the same:
    what differs is for whoever joins them to say.
    """
    fitting = [row for row in rows if form is TABLE or format_of(row.task) is form]
    same = [row for row in fitting if task_in(form, row.task) in tasks]
    return fitting if form.holds_tasks else same or fitting


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
    """What reads label files whose rows name their task: that of these tasks, else the first."""
    found = (reader.read_labels for reader in (*map(reader_of, tasks), *readers()))
    return next(read for read in found if read is not None)


def _read_list(path: Path, task: Task) -> Iterator[LabelledRow]:
    """Rows of one's own, which name labels of the predicted task."""
    names = [name for reader in readers() for name in reader.label_columns]
    for listed in read_label_list(path, task.labels, names):
        # A held-out background is no class: its row has no YES.
        marks = np.full(len(task.labels), NO, dtype=np.int8)
        marks[listed.label_index] = YES
        yield LabelledRow(listed.path, task, marks[: len(task.classes)], "", listed.where)


def _read_folder(folder: Path) -> Iterator[LabelledRow]:
    present = [split for split in SPLITS if (folder / split).is_dir()]
    # A folder without splits is refused by the reader of the first.
    for split in present or SPLITS[:1]:
        prepared = read_split(folder, split, background=True)
        for source, marks in zip(prepared.sources, prepared.marks):
            image = reader_of(prepared.task).image_name(source)
            yield LabelledRow(image, prepared.task, marks, split, f"{folder} ({split})")
