"""Folds for cross-validation: stratified, disjoint by content, and kept in a file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fashionai.datasets.prepared.folders import PreparedSplit
from fashionai.datasets.prepared.split import group_by_content
from fashionai.errors import DataError, shown
from fashionai.files.counts import parse_count
from fashionai.files.formats.csv_files import rows_below, write_rows

FOLDS_COLUMNS = ("task", "file", "fold")


def assign_folds(
    strata: Sequence[int], contents: Sequence[str], folds: int, seed: int
) -> np.ndarray:
    """Return a fold from 1 to ``folds`` for every image, ``(N,) int64``.

    Images of equal content form a group and share a fold. The largest groups are assigned
    first. Each group goes to the fold with the fewest images of its stratum and, among equals,
    with the fewest images in all. So the folds of a stratum differ by at most one image, as
    long as it has enough single images to compensate for its groups. A group of several strata
    counts as the smallest of them. Among groups of one size and stratum, a hash of seed and
    content decides the order, so the order of the images does not matter.
    """
    groups = group_by_content(contents, seed)

    def stratum_of(group: Sequence[int]) -> int:
        return min(strata[image] for image in group)

    in_stratum: dict[int, np.ndarray] = defaultdict(lambda: np.zeros(folds, np.int64))
    in_all = np.zeros(folds, np.int64)
    assigned = np.zeros(len(contents), np.int64)
    # Strata are assigned one after the other; otherwise the totals of the folds would differ more.
    for group in sorted(groups, key=lambda group: (-len(group), stratum_of(group))):
        fold = np.lexsort((in_all, in_stratum[stratum_of(group)]))[0]
        assigned[group] = fold + 1
        in_all[fold] += len(group)
        for image in group:
            in_stratum[strata[image]][fold] += 1
    return assigned


def write_folds(path: Path, splits: Sequence[PreparedSplit], folds: np.ndarray) -> None:
    """Write the rows ``task,file,fold`` of the images of all splits atomically.

    ``folds``, ``(N,) int64``, are in the order of the splits and of their images.
    """
    named = [(split.task.name, image.name) for split in splits for image in split.paths]
    write_rows(path, [FOLDS_COLUMNS, *((*name, fold) for name, fold in zip(named, folds))])


def read_folds(path: Path, split: PreparedSplit) -> np.ndarray:
    """Return the fold of every image of a split, ``(N,) int64``.

    Raises DataError for a malformed file, and when the images of the task in the file are not
    exactly those of ``split``, because the folds were made for another preparation.
    """
    folds: dict[str, int] = {}
    for (task, file, fold), where in rows_below(path, FOLDS_COLUMNS):
        number = parse_count(fold)
        if not number:
            raise DataError(f"{where}: fold is '{shown(fold)}', expected a number from 1")
        if task == split.task.name:
            if file in folds:
                raise DataError(f"{where}: {file} is listed twice")
            folds[file] = number
    names = [image.name for image in split.paths]
    different = sorted(set(names) ^ folds.keys())
    if different:
        problem = "has no fold" if different[0] in names else "is not among the prepared images"
        raise DataError(
            f"{path}: {split.task.name}: {different[0]} {problem}",
            "The folder was prepared again: make new folds in another run folder",
        )
    return np.array([folds[name] for name in names])


def select_samples(split: PreparedSplit, chosen: np.ndarray) -> PreparedSplit:
    """Return the samples for which ``chosen``, ``(N,) bool``, is true."""
    positions = np.flatnonzero(chosen)
    return PreparedSplit(
        split.task,
        [split.paths[position] for position in positions],
        split.marks[positions],
        [split.sources[position] for position in positions],
        [split.groups[position] for position in positions],
        split.pseudo[positions],
    )
