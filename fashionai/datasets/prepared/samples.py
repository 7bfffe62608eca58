"""The samples that a configuration trains and validates on, of one task or of several."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from fashionai.config import Config
from fashionai.datasets.prepared.folders import PreparedSplit, read_split
from fashionai.datasets.prepared.folds import read_folds, select_samples
from fashionai.datasets.prepared.manifest import MANIFEST
from fashionai.errors import ConfigError, DataError
from fashionai.files import content_hash
from fashionai.metrics import NO
from fashionai.runs import Run
from fashionai.tasks import Task, columns_of

log = logging.getLogger(__name__)


class Samples(NamedTuple):
    """N samples of T tasks, whose classes are side by side in C columns.

    ``paths`` are the image files, and ``sources`` their paths in the data set. ``heads`` is
    ``(N,) int64``, the index of each sample's task in ``tasks``. ``marks`` is ``(N, C) int8``
    (see fashionai.metrics); it is NO outside the columns of the sample's task, and everywhere
    for images of a held-out background. ``teacher`` are the distributions of data.soft_targets,
    ``(N, C) float64``, where they were read already. ``pseudo`` are the positions of samples with a
    pseudo-label.
    """

    tasks: list[Task]
    paths: list[Path]
    sources: list[str]
    heads: np.ndarray
    marks: np.ndarray
    teacher: Optional[np.ndarray] = None
    pseudo: Sequence[int] = ()

    def part(self, rows: slice) -> Samples:
        """Return the samples of consecutive positions."""
        paths, sources = self.paths[rows], self.sources[rows]
        return Samples(self.tasks, paths, sources, self.heads[rows], self.marks[rows])

    def of_task(self, head: int) -> np.ndarray:
        """Return the positions of the samples of one task, ``int64``."""
        return np.flatnonzero(self.heads == head)

    def by_task(self, values: np.ndarray) -> list[np.ndarray]:
        """Return, from ``(N, C)`` values of all samples, each task's samples in its own columns."""
        parts = enumerate(columns_of(self.tasks))
        return [values[self.of_task(head), part] for head, part in parts]

    def marks_of(self, head: int) -> np.ndarray:
        """Return the marks of one task's samples in its own columns, ``int8``."""
        return self.marks[self.of_task(head), columns_of(self.tasks)[head]]


def read_samples(
    config: Config,
    split: str,
    task_names: Optional[Sequence[str]] = None,
    background: bool = False,
    pseudo: bool = False,
) -> Samples:
    """Read the samples of a split from the prepared folders or from the configured fold.

    With folds, ``val`` is the configured fold, ``train`` all other samples of both prepared
    splits, and ``test`` the prepared split. ``task_names`` default to those of the
    configuration. Images of a held-out background are included only with ``background``; folds
    never include them. Images with a pseudo-label are included only with ``pseudo``, and are in
    ``train`` whatever the fold. Raises ConfigError for tasks of different data sets, and DataError
    as read_split and read_folds do and when a task has no samples inside or outside the fold.
    """
    names = config.task_names if task_names is None else task_names
    parts = [_read_task(config, name, split, background, pseudo) for name in names]
    tasks = [part.task for part in parts]
    if len({task.family for task in tasks}) > 1:
        names = ", ".join(task.name for task in tasks)
        raise ConfigError(f"task: {names} are of different data sets, expected one data set")
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
        pseudo=np.flatnonzero(np.concatenate([part.pseudo for part in parts])).tolist(),
    )


def data_hash(config: Config) -> str:
    """Return a hash of the manifests and the folds file that a run is trained on."""
    files = [_folder(config, name) / MANIFEST for name in config.task_names]
    if config.data.folds_file is not None:
        files.append(Path(config.data.folds_file))
    return content_hash("".join(content_hash(file.read_bytes()) for file in files).encode())


def data_has_changed(run: Run) -> bool:
    """Whether the prepared folder is known to be no longer the one that the run was trained on.

    It is not known of a run whose metrics.json has no hash of its data, and of a folder that
    cannot be read.
    """
    trained_on = run.metrics.get("data_hash")
    with contextlib.suppress(OSError):
        return trained_on is not None and trained_on != data_hash(run.config)
    return False


def warn_of_changed_data(run: Run) -> None:
    """Log a warning if the prepared folder is not the one that the run was trained on."""
    if data_has_changed(run):
        log.warning(
            "%s may have been trained on some of these images: the prepared folder has changed",
            run,
        )


def _read_task(
    config: Config, name: str, split: str, background: bool, pseudo: bool
) -> PreparedSplit:
    folder = _folder(config, name)
    if config.data.folds_file is None or split == "test":
        return read_split(folder, split, background=background, pseudo=pseudo)
    everything = read_split(folder, "train", "val", pseudo=pseudo)
    labelled = np.flatnonzero(~everything.pseudo)
    folds = np.zeros(len(everything.paths), np.int64)  # images with a pseudo-label have none
    folds[labelled] = read_folds(
        Path(config.data.folds_file), select_samples(everything, ~everything.pseudo)
    )
    held_out = folds == config.data.fold
    for chosen, place in ((held_out, "in"), (~held_out, "outside")):
        if not chosen.any():
            raise DataError(
                f"{config.data.folds_file}: {name} has no images {place} fold "
                f"{config.data.fold}, found folds {', '.join(map(str, np.unique(folds[labelled])))}"
            )
    return select_samples(everything, held_out if split == "val" else ~held_out)


def _folder(config: Config, name: str) -> Path:
    return Path(config.data.folder) / name
