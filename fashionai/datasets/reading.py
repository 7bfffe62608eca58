"""Reading a data set: one of the known ones, or the user's own CSV file or class folders.

A known data set has a task and a family in fashionai.families; the family's reader module reads
its label files. A data set of the user's own becomes a new task of the given name.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

from fashionai.datasets.readers.class_folders import read_class_folders
from fashionai.datasets.readers.image_files import is_passed_over
from fashionai.datasets.readers.reader import reader_of
from fashionai.datasets.readers.table import read_table
from fashionai.datasets.records import DataSet
from fashionai.errors import ConfigError, DataError, os_errors_as_data_errors
from fashionai.families import ALL, FAMILIES, expand_tasks, known_task
from fashionai.files.paths import PathLike, similar_path
from fashionai.tasks import TASK_FILE, Task

# Valid as the name of a folder, and of a file with a suffix, on every system.
TASK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class OwnFiles(NamedTuple):
    """The user's own data set: a CSV file with the folder of its images, or class folders.

    Either ``csv`` is given, with ``images`` unless that is its own folder, or ``folders``, or
    nothing. ``columns`` are the
    keyword arguments of read_table that name columns. ``classes`` are the classes in order;
    without any, the names that are found are sorted. ``skip_missing`` is that of read_table.
    """

    csv: Optional[Path]
    images: Optional[Path]
    folders: Optional[Path]
    columns: Mapping[str, Optional[str]]
    classes: Sequence[str]
    skip_missing: bool = False


def read_data_sets(
    names: Sequence[str], data: Path, options: Mapping[str, float], own: OwnFiles
) -> list[DataSet]:
    """Read the user's own files as the task ``names[0]``, or the known tasks of these names.

    Known tasks are read from ``data`` with the ``options`` of their family, all before the first is
    returned: none is prepared when another one has no rows, as after an incomplete download. Raises
    ConfigError for names and options that do not fit, and DataError for label files that cannot
    be used.
    """
    if own.csv is not None:
        arguments = {**own.columns, "skip_missing": own.skip_missing}
        return [read_own_table(names[0], own.csv, own.images, own.classes, **arguments)]
    if own.folders is not None:
        return [read_own_folders(names[0], own.folders, own.classes)]
    return [read_data_set(task, data, **options) for task in _known_tasks(names)]


def check_not_own(names: Sequence[str], prepared: Path) -> None:
    """Raise ConfigError for a name that is not a known task but one that is prepared there."""
    for name in names:
        if name != ALL and known_task(name) is None and (prepared / name / TASK_FILE).is_file():
            raise ConfigError(
                f"--task: '{name}' is your own data set, prepared in {prepared / name}",
                "Repeat the command that prepared it, with --csv or --folders, and add to it",
            )


def check_apart(folders: Path, prepared: Path) -> None:
    """Raise ConfigError when a task's folder would be among the class folders it is made from.

    Its files would be read as the user's own images the next time.
    """
    outer, inner = folders.resolve(), prepared.resolve()
    below = inner.relative_to(outer).parts if inner.is_relative_to(outer) else None
    if below is not None and not any(map(is_passed_over, below)):
        raise ConfigError(
            f"--out: {prepared} lies in '{folders}', the folder of --folders",
            "Name a folder outside of it",
        )


def _known_tasks(names: Sequence[str]) -> list[Task]:
    """The known tasks of these names; the error for another name says how to prepare own images."""
    try:
        return expand_tasks(names)
    except ConfigError as error:
        end = "" if error.hint.endswith("?") else "."
        own = "For your own images, give --csv or --folders"
        raise ConfigError(error.message, f"{error.hint}{end} {own}") from None


@os_errors_as_data_errors()
def read_data_set(task: Task, data: PathLike, **options: float) -> DataSet:
    """Read the label files of a known task.

    Args:
        task: A known task, as ``fashionai.find_task`` gives it.
        data: Folder of the data set's files.
        **options: Options of the task's family, such as ``no_logo_share`` of FlickrLogos-32.

    Returns:
        The records of all labelled images, for ``fashionai.prepare``.

    Raises:
        ConfigError: An option of another family.
        DataError: A label file that cannot be used, with file and line, or a missing image.

    Example:
        >>> skirts = fashionai.read_data_set(fashionai.find_task("skirt"), "data")
        >>> len(skirts.images)
    """
    own = FAMILIES[task.family].option
    for family in FAMILIES.values():
        other = family.option
        if other is not None and other is not own and other.name in options:
            goes_with = " or ".join(each.short_name for each in family.tasks)
            raise ConfigError(f"{other.flag}: goes with --task {goes_with}, not with {task.name}")
    return reader_of(task).read(Path(data), task, **options)


@os_errors_as_data_errors()
def read_own_table(
    name: str, file: Path, images: Optional[Path], classes: Sequence[str], **options: Any
) -> DataSet:
    """Read a CSV file as a new task; ``options`` and errors are those of read_table.

    Without ``images``, paths are relative to the file's own folder. Raises ConfigError for the
    name of a known task and for a class without a name, and DataError for a folder.
    """
    _check_names(name, classes)
    _check_exists("--csv", file)
    if file.is_dir():
        raise DataError(
            f"--csv: {file} is a folder, expected a CSV file",
            f"Class folders are prepared with --folders {shlex.quote(str(file))}",
        )
    return read_table(name, file, images, classes=classes, **options)


@os_errors_as_data_errors()
def read_own_folders(name: str, folder: Path, classes: Sequence[str]) -> DataSet:
    """Read class folders as a new task; errors are those of read_class_folders.

    Raises ConfigError for the name of a known task and for a class without a name.
    """
    _check_names(name, classes)
    _check_exists("--folders", folder)
    if folder.is_file():
        raise DataError(
            f"--folders: {folder} is a file, expected a folder of class folders",
            f"A CSV file is prepared with --csv {shlex.quote(str(folder))}",
        )
    return read_class_folders(name, folder, classes=classes)


def _check_exists(option: str, path: Path) -> None:
    if not path.exists():
        raise DataError(f"{option}: {path} does not exist", similar_path(path))


def _similar_name(name: str) -> str:
    """A name that is valid, as a hint; empty if too little would be left."""
    similar = re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-_")
    return f"For example: {similar}" if len(similar) > 1 else ""


def _check_names(name: str, classes: Sequence[str]) -> None:
    if name == ALL:
        raise ConfigError(
            f"--task: '{ALL}' stands for the eight FashionAI tasks, choose another name"
        )
    if known_task(name):
        raise ConfigError(f"--task: '{name}' is the name of a known data set, choose another")
    if not TASK_NAME.fullmatch(name):
        raise ConfigError(
            f"--task: found '{name}', expected a name of letters, digits, - and _ "
            "that begins with a letter or digit",
            _similar_name(name),
        )
    if not all(classes):
        raise ConfigError(
            f"--classes: found '{','.join(classes)}', expected a name for every class"
        )
