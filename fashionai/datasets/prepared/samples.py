"""The rows that a configuration trains and validates on: of one task or several, in one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from fashionai.config import Config
from fashionai.datasets.prepared.folders import MANIFEST, PreparedSplit, read_split
from fashionai.datasets.prepared.folds import read_folds, select_samples
from fashionai.errors import ConfigError, DataError
from fashionai.files import content_hash
from fashionai.metrics import NO
from fashionai.tasks import Task, columns_of


class Samples(NamedTuple):
    """N images of T tasks; the tasks' classes lie side by side in C columns.

    ``heads`` is ``(N,) int64``, the task of each row; ``marks`` is ``(N, C)
    int8`` (see fashionai.metrics), NO outside the columns of the row's task and
    everywhere for images of a held-out background.
    """

    tasks: list[Task]
    paths: list[Path]
    sources: list[str]
    heads: np.ndarray
    marks: np.ndarray

    def of_task(self, head: int) -> np.ndarray:
        """The rows of one task, ``int64``."""
        return np.flatnonzero(self.heads == head)

    def by_task(self, answers: np.ndarray) -> list[np.ndarray]:
        """Each task's rows in its own columns, of what is ``(N, C)`` for all rows."""
        parts = enumerate(columns_of(self.tasks))
        return [answers[self.of_task(head), part] for head, part in parts]

    def marks_of(self, head: int) -> np.ndarray:
        """The marks of one task's rows in its own columns, ``int8``."""
        return self.marks[self.of_task(head), columns_of(self.tasks)[head]]


def read_samples(
    config: Config,
    split: str,
    task_names: Optional[Sequence[str]] = None,
    background: bool = False,
) -> Samples:
    """The rows of a split of the prepared folders, or of the configured fold.

    With folds, ``val`` is the fold and ``train`` all other rows of both splits;
    ``test`` is the prepared one. ``task_names`` are those of the configuration unless
    given. Images of a held-out background are left out
    unless asked for; folds have none. Raises DataError as read_split and read_folds
    do, and when a task has no rows in the fold or none outside it.
    """
    names = config.task_names if task_names is None else task_names
    parts = [_read_task(config, name, split, background) for name in names]
    tasks = [part.task for part in parts]
    if len({task.family for task in tasks}) > 1:
        names = ", ".join(task.name for task in tasks)
        raise ConfigError(f"task: {names} are of different data sets, one network learns one's")
    heads = np.repeat(np.arange(len(parts)), [len(part.paths) for part in parts])
    marks = np.full((len(heads), sum(len(task.classes) for task in tasks)), NO, np.int8)
    start = 0
    for part, columns in zip(parts, columns_of(tasks)):
        marks[start : start + len(part.paths), columns] = part.marks
        start += len(part.paths)
    return Samples(
        tasks,
        [path for part in parts for path in part.paths],
        [source for part in parts for source in part.sources],
        heads,
        marks,
    )


def data_hash(config: Config) -> str:
    """A name for the prepared folders and folds as they are: a run stands on them."""
    files = [_folder(config, name) / MANIFEST for name in config.task_names]
    if config.data.folds_file is not None:
        files.append(Path(config.data.folds_file))
    return content_hash("".join(content_hash(file.read_bytes()) for file in files).encode())


def _read_task(config: Config, name: str, split: str, background: bool) -> PreparedSplit:
    folder = _folder(config, name)
    if config.data.folds_file is None or split == "test":
        return read_split(folder, split, background=background)
    everything = read_split(folder, "train", "val")
    folds = read_folds(Path(config.data.folds_file), everything)
    held_out = folds == config.data.fold
    for rows, place in ((held_out, "in"), (~held_out, "outside")):
        if not rows.any():
            raise DataError(
                f"{config.data.folds_file}: {name} has no images {place} fold "
                f"{config.data.fold}, found folds {', '.join(map(str, np.unique(folds)))}"
            )
    return select_samples(everything, held_out if split == "val" else ~held_out)


def _folder(config: Config, name: str) -> Path:
    return Path(config.data.folder) / name
