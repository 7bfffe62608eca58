"""The images that runs were trained and validated on: classes, sizes, and duplicates."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from fashionai.datasets.names import PSEUDO_LABELS, SPLITS
from fashionai.datasets.prepared.check import hash_files, on_all_cores
from fashionai.datasets.prepared.folders import PreparedSplit, count_pseudo_labels, read_split
from fashionai.datasets.prepared.folds import select_samples
from fashionai.errors import FashionAIError
from fashionai.pipeline.decode import read_header
from fashionai.progress import no_progress
from fashionai.scoring.rows.joining import check_same_classes
from fashionai.tasks import Task

# So many images of each split are opened for their sizes, evenly chosen.
MOST_SIZED = 500
# Groups of duplicates that are listed.
MOST_GROUPS = 20

# Numbers of images by (width, height) in pixels.
SizeCounts = Counter[tuple[int, int]]


class ClassBalance(NamedTuple):
    """The number of images of one class in each split; those with a pseudo-label count apart."""

    name: str
    counts: Mapping[str, int]


class Duplicates(NamedTuple):
    """Groups of byte-identical images.

    ``images`` counts all but the first of each group, ``crossing`` the groups that lie in several
    splits, and ``conflicting`` those with several classes. ``groups`` lists some, these first:
    each image with its split and class.
    """

    images: int
    crossing: int
    conflicting: int
    groups: Sequence[Sequence[tuple[str, str, str]]]


class DataSet(NamedTuple):
    """The prepared images of a task. ``problem`` says why they cannot be read, or is empty.

    ``sized`` is the number of images that ``sizes``, by split, were read from.
    """

    folder: Path
    problem: str
    images: int = 0
    balance: Sequence[ClassBalance] = ()
    sizes: Mapping[str, SizeCounts] = {}
    duplicates: Duplicates = Duplicates(0, 0, 0, ())

    @property
    def sized(self) -> int:
        """The number of images whose size was read."""
        return sum(sum(counts.values()) for counts in self.sizes.values())

    @property
    def largest(self) -> Mapping[str, int]:
        """The number of images of the most frequent class of each split, at least 1."""
        return {
            split: max(1, *(each.counts[split] for each in self.balance)) for split in self.splits
        }

    @property
    def splits(self) -> Sequence[str]:
        """The splits that have images."""
        return list(self.balance[0].counts) if self.balance else []


def describe_data_set(folder: Path, task: Task) -> DataSet:
    """Read the prepared folder of a task, which may have been removed since the training."""
    try:
        splits = _read_splits(folder)
        prepared = next(iter(splits.values())).task
        check_same_classes(prepared, task, (str(folder), "the run"))
        every = [path for split in splits.values() for path in split.paths]
        return DataSet(
            folder,
            "",
            len(every),
            _class_balance(task, splits),
            {name: _sizes(split.paths) for name, split in splits.items()},
            find_duplicates(splits),
        )
    except (FashionAIError, OSError) as error:
        return DataSet(folder, str(error))


def _read_splits(folder: Path) -> dict[str, PreparedSplit]:
    present = [split for split in SPLITS if (folder / split).is_dir()]
    # For a folder without splits, reading the first one raises the error.
    splits = {split: read_split(folder, split) for split in present or SPLITS[:1]}
    if count_pseudo_labels(folder):
        train = read_split(folder, "train", pseudo=True)
        splits[PSEUDO_LABELS] = select_samples(train, train.pseudo)
    return splits


def _class_balance(task: Task, splits: Mapping[str, PreparedSplit]) -> list[ClassBalance]:
    size = len(task.classes)
    counts = {
        name: np.bincount(split.class_indices, minlength=size).tolist()
        for name, split in splits.items()
    }
    return [
        ClassBalance(name, {split: found[index] for split, found in counts.items()})
        for index, name in enumerate(task.classes)
    ]


def _sizes(paths: Sequence[Path]) -> SizeCounts:
    chosen = np.linspace(0, len(paths) - 1, min(len(paths), MOST_SIZED)).round().astype(int)
    found = on_all_cores(_size, [paths[at] for at in chosen.tolist()], no_progress)
    return Counter(size for size in found if size is not None)


def _size(path: Path) -> Optional[tuple[int, int]]:
    header = read_header(path.read_bytes())
    return None if header is None else (header.width, header.height)


def find_duplicates(splits: Mapping[str, PreparedSplit]) -> Duplicates:
    """The byte-identical images of a task. Only files of equal size and equal end are read."""
    places = [
        (path, name, split.task.classes[index])
        for name, split in splits.items()
        for path, index in zip(split.paths, split.class_indices.tolist())
    ]
    by_size = _equal([place[0].stat().st_size for place in places], range(len(places)))
    candidates = [at for group in by_size for at in group]
    by_end = _equal([_end(places[at][0]) for at in candidates], candidates)
    candidates = [at for group in by_end for at in group]
    equal = _equal(hash_files([places[at][0] for at in candidates]), candidates)
    groups = [[places[at] for at in group] for group in equal]
    crossing = [len({split for _, split, _ in group}) > 1 for group in groups]
    conflicting = [len({name for *_, name in group}) > 1 for group in groups]
    order = sorted(range(len(groups)), key=lambda at: (not conflicting[at], not crossing[at]))
    return Duplicates(
        sum(len(group) - 1 for group in groups),
        sum(crossing),
        sum(conflicting),
        [[(str(p), split, name) for p, split, name in groups[at]] for at in order[:MOST_GROUPS]],
    )


def _equal(values: Sequence[object], items: Sequence[int]) -> list[list[int]]:
    """The items of equal values as groups of two or more."""
    groups: dict[object, list[int]] = defaultdict(list)
    for value, item in zip(values, items):
        groups[value].append(item)
    return [group for group in groups.values() if len(group) > 1]


def _end(path: Path) -> tuple[int, bytes]:
    """The size and the last bytes of a file."""
    with open(path, "rb") as handle:
        size = handle.seek(0, 2)
        handle.seek(max(0, size - 64))
        return size, handle.read()
