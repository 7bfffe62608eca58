"""Which reader reads what: known data sets by family, one's own label files by shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional

from fashionai.datasets.cactus import read_cactus
from fashionai.datasets.class_folders import read_class_folders
from fashionai.datasets.covers import read_covers
from fashionai.datasets.fashionai_csv import read_training_images
from fashionai.datasets.flickrlogos import read_logos
from fashionai.datasets.idx import read_idx_images
from fashionai.datasets.record import Source
from fashionai.datasets.table import read_table
from fashionai.errors import ConfigError
from fashionai.tasks import ALL, REGISTRY, Task

READERS: dict[str, Callable[[Path, Task], Source]] = {
    "fashionai": lambda data, task: Source(task, read_training_images(data, task), []),
    "idx": lambda data, task: Source(task, read_idx_images(data, task), []),
    "flickrlogos": lambda data, task: read_logos(data),
    "cactus": lambda data, task: read_cactus(data),
    "covers": lambda data, task: read_covers(data),
}

# What a folder can be called everywhere, and a file of the same name with a suffix.
TASK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def read_source(task: Task, data: Path, no_logo_share: Optional[float] = None) -> Source:
    """What the label files of a known data set below ``data`` hold of a task.

    ``no_logo_share`` is for logos alone, see read_logos.
    """
    if no_logo_share is None:
        return READERS[task.family](data, task)
    if task.family != "flickrlogos":
        raise ConfigError(f"--no-logo-share: goes with --task logos, not with {task.name}")
    return read_logos(data, no_logo_share)


def read_own_table(
    name: str, file: Path, images: Path, classes: Sequence[str], **columns: Any
) -> Source:
    """One's own CSV as a new task; ``columns`` and errors as for read_table."""
    _check_names(name, classes)
    return read_table(name, file, images, classes=classes, **columns)


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
