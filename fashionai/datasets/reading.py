"""Which reader reads what: known data sets by family, one's own label files by shape."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

from fashionai.datasets.readers.class_folders import read_class_folders
from fashionai.datasets.readers.reader import reader_of
from fashionai.datasets.readers.table import read_table
from fashionai.datasets.records import DataSet
from fashionai.errors import ConfigError, os_errors_as_data_errors
from fashionai.families import ALL, FAMILIES, expand_tasks, known_task
from fashionai.tasks import Task

# What a folder can be called everywhere, and a file of the same name with a suffix.
TASK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class OwnFiles(NamedTuple):
    """Label files of one's own: a CSV with the folder of its images, or class folders.

    ``columns`` are those of read_table, and ``classes`` the order of the classes
    where it is not that of their names.
    """

    csv: Optional[Path]
    images: Optional[Path]
    folders: Optional[Path]
    columns: Mapping[str, Optional[str]]
    classes: Sequence[str]


def read_data_sets(
    names: Sequence[str], data: Path, options: Mapping[str, float], own: OwnFiles
) -> Iterator[DataSet]:
    """Read one's own files as the task of the first name, or else the known tasks one by one.

    Raises ConfigError for names that cannot be used, DataError for label files.
    """
    if own.csv is not None and own.images is not None:
        yield read_own_table(names[0], own.csv, own.images, own.classes, **own.columns)
    elif own.folders is not None:
        yield read_own_folders(names[0], own.folders, own.classes)
    else:
        for task in expand_tasks(names):
            yield read_data_set(task, data, **options)


@os_errors_as_data_errors()
def read_data_set(task: Task, data: Path, **options: float) -> DataSet:
    """Read the label files of a known data set below ``data`` for one of its tasks.

    ``options`` are those of the task's family. Raises ConfigError for an option of another one.
    """
    own = FAMILIES[task.family].option
    for family in FAMILIES.values():
        other = family.option
        if other is not None and other is not own and other.name in options:
            goes_with = " or ".join(each.short_name for each in family.tasks)
            raise ConfigError(f"{other.flag}: goes with --task {goes_with}, not with {task.name}")
    return reader_of(task).read(data, task, **options)


@os_errors_as_data_errors()
def read_own_table(
    name: str, file: Path, images: Path, classes: Sequence[str], **columns: Any
) -> DataSet:
    """One's own CSV as a new task; ``columns`` and errors as for read_table."""
    _check_names(name, classes)
    return read_table(name, file, images, classes=classes, **columns)


@os_errors_as_data_errors()
def read_own_folders(name: str, folder: Path, classes: Sequence[str]) -> DataSet:
    """One's own class folders as a new task; errors as for read_class_folders."""
    _check_names(name, classes)
    return read_class_folders(name, folder, classes=classes)


def _check_names(name: str, classes: Sequence[str]) -> None:
    if known_task(name) or name == ALL:
        raise ConfigError(f"--task: '{name}' is the name of a known data set, choose another")
    if not TASK_NAME.fullmatch(name):
        raise ConfigError(
            f"--task: found '{name}', expected a name of letters, digits, - and _ "
            "that begins with a letter or digit"
        )
    if not all(classes):
        raise ConfigError(f"--classes: found '{','.join(classes)}', one of them has no name")
