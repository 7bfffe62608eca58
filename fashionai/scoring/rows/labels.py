"""Labels for scoring prediction files: from label files, answer files or prepared folders."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from fashionai.datasets.label_folders import holds_class_folders, read_label_folders
from fashionai.datasets.names import SPLITS
from fashionai.datasets.prepared.folders import read_split
from fashionai.datasets.prepared.manifest import MANIFEST
from fashionai.datasets.readers.image_files import list_folder
from fashionai.datasets.readers.label_list import read_label_list
from fashionai.datasets.readers.reader import reader_of, readers
from fashionai.datasets.records import LabelRow
from fashionai.errors import ConfigError, DataError
from fashionai.families import full_names
from fashionai.files.names import composed
from fashionai.metrics import NO, YES
from fashionai.pipeline.decode import ImageFile
from fashionai.predictions.formats import TABLE, FileRow, Format, RowKey, format_of, row_key
from fashionai.scoring.rows.image_names import ImageNames
from fashionai.scoring.rows.joining import JoinedTask, check_same_classes, raise_for_rows
from fashionai.tasks import Task


class LabelFiles(NamedTuple):
    """Label files as a user gives them.

    ``paths`` are label files, answer files, CSV files of paths and classes, class folders and
    prepared folders. ``columns`` are names or numbers of a CSV file's columns by role, and
    ``images`` is the folder that its paths are relative to, by default its own.
    """

    paths: Sequence[Path]
    columns: Mapping[str, Optional[str]] = {}
    images: Optional[Path] = None

    @property
    def names(self) -> str:
        """The paths, for messages."""
        return ", ".join(map(str, self.paths))

    @property
    def options(self) -> dict[str, object]:
        """The options that were given and that only a CSV file has, by their names."""
        given = {f"--{role}-column": column for role, column in self.columns.items()}
        given["--images"] = None if self.images is None else str(self.images)
        return {name: value for name, value in given.items() if value is not None}


class LabelledRow(NamedTuple):
    """The true marks ``(C,) int8`` of one image for one task, see fashionai.metrics.

    Images of a held-out background have no YES. ``image`` is the image's name in label files.
    ``split`` is empty for labels that have none. ``where`` is the line of a file, or the folder.
    ``file`` is the image itself, where the labels say where it is.
    """

    image: str
    task: Task
    marks: np.ndarray
    split: str
    where: str
    file: Optional[ImageFile] = None

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
    files: LabelFiles,
    tasks: Sequence[Task] = (),
    task_names: Sequence[str] = (),
    images: Collection[str] = (),
) -> dict[RowKey, LabelledRow]:
    """All labelled rows of label files and prepared folders, by the key of their prediction.

    A path is a label file of the tasks' family, a prepared task folder or its manifest.csv, or
    a folder of prepared task folders. For predictions of one task it may also be a CSV file that
    prepare accepts, or class folders, where the family's prediction file holds one task. With
    ``tasks``, rows that their prediction file cannot have are left out. With ``task_names``, rows
    of other tasks are left out, if there are any rows of the named tasks. ``images`` are the names
    of the predicted images: a path that leads to one of them gets its name.

    Raises DataError for bad labels, for prepared folders that were edited, and for a row with
    two different labels; ConfigError for options that only a CSV file has.
    """
    predicted = {composed(image) for image in images}
    rows = [row for path in files.paths for row in _read(path, tasks, files, predicted)]
    named = full_names(task_names)
    rows = [row for row in rows if row.task.name in named] or rows
    if not tasks:
        return distinct_rows(rows, lambda row: row.key(format_of(row.task)))
    file_format = format_of(tasks[0])
    fitting = _in_file_of(tasks, file_format, rows)
    return distinct_rows(fitting, lambda row: row.key(file_format))


def distinct_rows(
    rows: Iterable[LabelledRow], key: Callable[[LabelledRow], RowKey]
) -> dict[RowKey, LabelledRow]:
    """The rows by their key; DataError for two of the same key with different labels."""
    labels: dict[RowKey, LabelledRow] = {}
    for row in rows:
        first = labels.setdefault(key(row), row)
        if first is not row and not np.array_equal(first.marks, row.marks):
            _raise_for_two_labels(first, row)
    return labels


def labels_of_joined(files: LabelFiles, joined: Sequence[JoinedTask]) -> dict[RowKey, LabelledRow]:
    """The labelled rows for prediction files that were joined; see read_labels."""
    named = [part.task_name for part in joined if part.task_name]
    images = [image for part in joined for image in part.images]
    return read_labels(files, [part.task for part in joined], named, images)


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


def of_predicted_splits(
    truth: Sequence[LabelledRow], predicted: Sequence[FileRow], file_format: Format
) -> list[LabelledRow]:
    """All rows of labels without splits, and of others the parts that have predicted rows.

    A part is the images of a task's classes of one split, or its images of a held-out background.
    """
    keys = {row.key for row in predicted}
    parts = {_part(row) for row in truth if row.key(file_format) in keys}
    return [row for row in truth if not row.split or _part(row) in parts]


def _part(row: LabelledRow) -> tuple[str, str, bool]:
    return row.task.name, row.split, row.is_background


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


def _read(
    path: Path, tasks: Sequence[Task], files: LabelFiles, predicted: Collection[str]
) -> Iterator[LabelledRow]:
    if path.name == MANIFEST:
        path = path.parent
    holds_one_task = len(tasks) == 1 and not format_of(tasks[0]).holds_tasks
    if path.is_file() and holds_one_task:
        yield from read_listed(path, tasks[0], files, predicted)
        return
    check_options(path, files)
    if not path.is_dir():
        for row in _label_file_reader(tasks)(path):
            yield LabelledRow(row.image, row.task, row.marks, "", row.where)
    elif holds_one_task and holds_class_folders(path) and not is_parent_of_prepared(path):
        yield from read_class_folders(path, tasks[0])
    else:
        yield from read_prepared(path)


def _label_file_reader(tasks: Sequence[Task]) -> Callable[[Path], Iterator[LabelRow]]:
    """The function that reads label files of these tasks, or of the first family that has one."""
    found = (reader.read_label_rows for reader in (*map(reader_of, tasks), *readers()))
    return next(read for read in found if read is not None)


def check_options(path: Path, files: LabelFiles, allowed: str = "") -> None:
    """ConfigError for a given option, other than ``allowed``, that this path cannot use."""
    for option in files.options:
        if option != allowed:
            kind = "is a folder" if path.is_dir() else "names a task in each row"
            raise ConfigError(
                f"{option}: goes with a CSV file of paths and classes, but {path} {kind}"
            )


def is_parent_of_prepared(path: Path) -> bool:
    """Whether a folder holds prepared folders."""
    return any(path.glob(f"*/{MANIFEST}"))


def read_prepared(path: Path) -> Iterator[LabelledRow]:
    """The rows of a prepared folder, or of all prepared folders below a folder.

    Raises DataError for a folder that is not prepared, such as one of images without labels.
    """
    inner = sorted(manifest.parent for manifest in path.glob(f"*/{MANIFEST}"))
    if not inner and not (path / MANIFEST).is_file() and list_folder(path).images:
        raise DataError(
            f"{path}: holds images without labels, expected class folders or a prepared folder",
            "Move the images into one folder per class, or list them in a label file: see --images",
        )
    for folder in inner or [path]:
        yield from _read_folder(folder)


def read_listed(
    path: Path, task: Task, files: LabelFiles, predicted: Collection[str] = ()
) -> Iterator[LabelledRow]:
    """The rows of a CSV file of paths and labels of this task.

    A path that leads to an image of ``predicted`` gets that name: it may lack its suffix or be
    absolute. Without ``predicted``, all images have to exist, else DataError.
    """
    known = ImageNames(path, task, files.images, predicted)
    columns = [name for reader in readers() for name in reader.label_columns]
    for listed in read_label_list(
        path, task.labels, columns, columns=files.columns, exists=known.exists
    ):
        image, file = known.find(listed.path, listed.where)
        marks = _marks(task, listed.label_index)
        yield LabelledRow(image, task, marks, listed.split or "", listed.where, file)


def _marks(task: Task, label_index: int) -> np.ndarray:
    """The marks ``(C,) int8`` of a label; a held-out background is no class and has no YES."""
    marks = np.full(len(task.labels), NO, dtype=np.int8)
    marks[label_index] = YES
    return marks[: len(task.classes)]


def read_class_folders(path: Path, task: Task) -> Iterator[LabelledRow]:
    """The images in class folders, or in folders train, val and test of class folders."""
    for each in read_label_folders(path, task.labels):
        marks = _marks(task, each.label_index)
        file = path / each.path
        yield LabelledRow(each.path, task, marks, each.split or "", each.where, file)


def _read_folder(folder: Path) -> Iterator[LabelledRow]:
    present = [split for split in SPLITS if (folder / split).is_dir()]
    # For a folder without splits, reading the first split raises the error.
    for split in present or SPLITS[:1]:
        prepared = read_split(folder, split, background=True)
        placed = zip(prepared.sources, prepared.marks, prepared.paths)
        for source, marks, file in placed:
            image = reader_of(prepared.task).image_name(source)
            yield LabelledRow(image, prepared.task, marks, split, f"{folder} ({split})", file)
