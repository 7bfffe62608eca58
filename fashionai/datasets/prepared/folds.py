"""Folds for cross-validation: stratified, disjoint by content, made once and kept in a file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fashionai.csv_files import read_rows, write_rows
from fashionai.datasets.prepared.folders import PreparedSplit
from fashionai.datasets.prepared.split import group_by_content
from fashionai.errors import DataError

FOLDS_COLUMNS = ("task", "file", "fold")


def assign_folds(
    strata: Sequence[int], contents: Sequence[str], folds: int, seed: int
) -> np.ndarray:
    """A fold from 1 to ``folds`` for every row, ``(N,) int64``.

    Rows of equal content share a fold. Larger groups are dealt first, each to
    the fold that has the fewest rows of its stratum (then the fewest of all), so
    that the folds of a stratum differ by one row at most as long as its single
    rows can even out its groups. A group of several strata counts as the first
    of them. The order within a size and stratum is a hash of seed and content,
    whatever the order of rows.
    """
    groups = group_by_content(contents, seed)

    def stratum_of(rows: Sequence[int]) -> int:
        return min(strata[row] for row in rows)

    in_stratum: dict[int, np.ndarray] = defaultdict(lambda: np.zeros(folds, np.int64))
    in_all = np.zeros(folds, np.int64)
    assigned = np.zeros(len(contents), np.int64)
    # One stratum after the other: else the folds' totals would not end even.
    for rows in sorted(groups, key=lambda rows: (-len(rows), stratum_of(rows))):
        fold = np.lexsort((in_all, in_stratum[stratum_of(rows)]))[0]
        assigned[rows] = fold + 1
        in_all[fold] += len(rows)
        for row in rows:
            in_stratum[strata[row]][fold] += 1
    return assigned


def write_folds(path: Path, splits: Sequence[PreparedSplit], folds: np.ndarray) -> None:
    """Write ``task,file,fold`` of the rows of all splits, in their order, atomically."""
    named = [(split.task.name, image.name) for split in splits for image in split.paths]
    write_rows(path, [FOLDS_COLUMNS, *((*name, fold) for name, fold in zip(named, folds))])


def read_folds(path: Path, split: PreparedSplit) -> np.ndarray:
    """The fold of every row of a task, ``(N,) int64``.

    Raises DataError for a malformed file, and when its images of the task are
    not exactly those of ``split``: the folds belong to another preparation.
    """
    folds: dict[str, int] = {}
    for number, (fields, where) in enumerate(read_rows(path)):
        if number == 0:
            if tuple(fields) != FOLDS_COLUMNS:
                raise DataError(f"{where}: found '{','.join(fields)}', expected task,file,fold")
        elif len(fields) != len(FOLDS_COLUMNS) or not fields[2].isdecimal() or int(fields[2]) < 1:
            raise DataError(f"{where}: found '{','.join(fields)}', expected task,file,fold")
        elif fields[0] == split.task.name:
            if fields[1] in folds:
                raise DataError(f"{where}: {fields[1]} has a fold already")
            folds[fields[1]] = int(fields[2])
    names = [image.name for image in split.paths]
    different = sorted(set(names) ^ folds.keys())
    if different:
        problem = "has no fold" if different[0] in names else "is not among the prepared images"
        raise DataError(
            f"{path}: {split.task.name}: {different[0]} {problem}",
            "The folder was prepared anew: make new folds, in another run folder",
        )
    return np.array([folds[name] for name in names])


def select_samples(split: PreparedSplit, chosen: np.ndarray) -> PreparedSplit:
    """The rows for which ``chosen``, ``(N,) bool``, is true."""
    rows = np.flatnonzero(chosen)
    return PreparedSplit(
        split.task,
        [split.paths[row] for row in rows],
        split.marks[rows],
        [split.sources[row] for row in rows],
        [split.groups[row] for row in rows],
    )
