"""Which fold each image of a cross-validation belongs to."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fashionai.config import Config
from fashionai.datasets.prepared.check import hash_files
from fashionai.datasets.prepared.folders import PreparedSplit, read_split
from fashionai.datasets.prepared.folds import assign_folds
from fashionai.datasets.prepared.split import join_groups
from fashionai.errors import TrainingError, counted, list_names
from fashionai.pipeline.crop_counts import DEFAULT_CROPS
from fashionai.predictions.formats import probability_format, source_names
from fashionai.progress import ProgressBar
from fashionai.tasks import columns_of

log = logging.getLogger(__name__)


class FoldSettings(NamedTuple):
    """How the folds are made, and the number of crops in out-of-fold predictions."""

    folds: int = 4
    stratified: bool = True
    grouped_by_content: bool = True
    crops: int = DEFAULT_CROPS


class Folds(NamedTuple):
    """The images of every task, and the fold of each image, ``(N,) int64``, from 1."""

    splits: list[PreparedSplit]
    folds: np.ndarray


def plan_folds(config: Config, settings: FoldSettings, progress: ProgressBar) -> Folds:
    """Assign every training and validation image to a fold.

    Raises TrainingError for a task with too few images for the folds, DataError for images
    that have the same name in a prediction file.
    """
    folder = Path(config.data.folder)
    splits = [read_split(folder / name, "train", "val") for name in config.task_names]
    paths = [path for split in splits for path in split.paths]
    groups = [f"{split.task.name}/{path.name}" for split in splits for path in split.paths]
    if settings.grouped_by_content:
        with progress("comparing images", len(paths)) as advance:
            groups = hash_files(paths, advance)
    groups = join_groups(groups, [group for split in splits for group in split.groups])
    strata = np.zeros(len(paths), np.int64)
    if settings.stratified:
        columns = columns_of([split.task for split in splits])
        strata = np.concatenate([s.class_indices + c.start for s, c in zip(splits, columns)])
    folds = assign_folds(strata.tolist(), groups, settings.folds, config.seed)
    ends = np.cumsum([len(split.paths) for split in splits])
    for split, part in zip(splits, np.split(folds, ends[:-1])):
        source_names(probability_format(split.task), split.task, split.sources)
        if len(np.unique(part)) < settings.folds:
            raise TrainingError(
                f"{split.task.name}: too few images for {counted(settings.folds, 'fold')}: "
                f"{len(part):,}",
                "Give fewer --folds",
            )
        _log_small_classes(split, settings.folds)
    return Folds(splits, folds)


def _log_small_classes(split: PreparedSplit, folds: int) -> None:
    """Log which classes have fewer images than there are folds."""
    counts = np.bincount(split.class_indices, minlength=len(split.task.classes))
    few = [f"{name} ({n:,})" for name, n in zip(split.task.classes, counts.tolist()) if n < folds]
    if few:
        log.info("fewer images than folds, so that some folds miss them: %s", list_names(few))
