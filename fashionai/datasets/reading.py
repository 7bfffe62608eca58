"""Which reader reads what: known data sets by family, one's own label files by shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

from fashionai.datasets.prepared.prepare import file_errors
from fashionai.datasets.readers.cactus import read_cactus
from fashionai.datasets.readers.class_folders import read_class_folders
from fashionai.datasets.readers.covers import read_covers
from fashionai.datasets.readers.fashionai import read_training_images
from fashionai.datasets.readers.flickrlogos import read_logos
from fashionai.datasets.readers.idx import read_idx_images
from fashionai.datasets.readers.table import read_table
from fashionai.datasets.records import Source
from fashionai.errors import ConfigError
from fashionai.tasks import ALL, REGISTRY, Task, expand_tasks

READERS: dict[str, Callable[[Path, Task], Source]] = {
    "fashionai": lambda data, task: Source(task, read_training_images(data, task), []),
    "idx": lambda data, task: Source(task, read_idx_images(data, task), []),
    "flickrlogos": lambda data, task: read_logos(data),
    "cactus": lambda data, task: read_cactus(data),
    "covers": lambda data, task: read_covers(data),
}

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


def read_sources(
    names: Sequence[str], data: Path, no_logo_share: Optional[float], own: OwnFiles
) -> Iterator[Source]:
    """Read one's own files as the task of the first name, or else the known tasks one by one.

    Raises ConfigError for names that cannot be used, DataError for label files.
    """
    if own.csv is not None and own.images is not None:
        yield read_own_table(names[0], own.csv, own.images, own.classes, **own.columns)
    elif own.folders is not None:
        yield read_own_folders(names[0], own.folders, own.classes)
    else:
        for task in expand_tasks(names):
            yield read_source(task, data, no_logo_share)


@file_errors()
def read_source(task: Task, data: Path, no_logo_share: Optional[float] = None) -> Source:
    """What the label files of a known data set below ``data`` hold of a task.

    ``no_logo_share`` is for logos alone, see read_logos.
    """
    if no_logo_share is None:
        return READERS[task.family](data, task)
    if task.family != "flickrlogos":
        raise ConfigError(f"--no-logo-share: goes with --task logos, not with {task.name}")
    return read_logos(data, no_logo_share)


@file_errors()
def read_own_table(
    name: str, file: Path, images: Path, classes: Sequence[str], **columns: Any
) -> Source:
    """One's own CSV as a new task; ``columns`` and errors as for read_table."""
    _check_names(name, classes)
    return read_table(name, file, images, classes=classes, **columns)


@file_errors()
def read_own_folders(name: str, folder: Path, classes: Sequence[str]) -> Source:
    """One's own class folders as a new task; errors as for read_class_folders."""
    _check_names(name, classes)
    return read_class_folders(name, folder, classes=classes)


def _check_names(name: str, classes: Sequence[str]) -> None:
    if name in REGISTRY or name == ALL:
        raise ConfigError(f"--task: '{name}' is the name of a known data set, choose another")
    if not TASK_NAME.fullmatch(name):
        raise ConfigError(
            f"--task: found '{name}', expected a name of letters, digits, - and _ "
            "that begins with a letter or digit"
        )
    if not all(classes):
        raise ConfigError(f"--classes: found '{','.join(classes)}', one of them has no name")
