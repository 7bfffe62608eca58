"""Near-duplicates among the images that prepare splits: counted, and kept together."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from fashionai.datasets.near_duplicates import NearDuplicates, connected
from fashionai.datasets.prepared.manifest import GROUP_COLUMN
from fashionai.datasets.records import LabelledImage
from fashionai.errors import counted
from fashionai.files.default_folders import PREPARED_FOLDER
from fashionai.files.formats.csv_files import readable_rows
from fashionai.tasks import Task

# The beginning of the names of groups of near-duplicates.
LIKE = "like "


class Alike(NamedTuple):
    """How many images look like an earlier one, of other bytes.

    ``across_splits`` counts those of them that look like an image of another split, and
    ``across_classes`` those that look like an image of another class. ``is_prescribed`` tells that
    the data set gives the splits of all images.
    """

    images: int
    across_splits: int
    across_classes: int
    is_prescribed: bool


def count_alike(
    pairs: NearDuplicates,
    images: Sequence[LabelledImage],
    contents: Sequence[str],
    splits: Sequence[str],
) -> Alike:
    """Count near-duplicates; ``contents`` and ``splits`` are those of the images."""
    alike, across_splits, across_classes = set(), set(), set()
    for one, other in zip(pairs.first.tolist(), pairs.second.tolist()):
        if contents[one] == contents[other]:
            continue
        alike.add(other)
        if splits[one] != splits[other]:
            across_splits.add(other)
        if images[one].class_index != images[other].class_index:
            across_classes.add(other)
    is_prescribed = all(image.split for image in images)
    return Alike(len(alike), len(across_splits), len(across_classes), is_prescribed)


def in_one_group(images: Sequence[LabelledImage], pairs: NearDuplicates) -> list[LabelledImage]:
    """The images, with near-duplicates in one group, which a split keeps together.

    A group that holds near-duplicates outside of it takes them in, with the groups that they are
    in. New groups are called ``like <source of the first image>``.
    """
    leaders = _first_positions([image.group for image in images])
    everyone = np.arange(len(images))
    components = connected(
        len(images), np.append(pairs.first, leaders), np.append(pairs.second, everyone)
    )
    members: dict[int, list[int]] = defaultdict(list)
    for position, first in enumerate(components.tolist()):
        members[first].append(position)
    grouped = list(images)
    for first, positions in members.items():
        if len(positions) > 1:
            name = next(filter(None, (images[at].group for at in positions)), "")
            for at in positions:
                grouped[at] = images[at]._replace(group=name or f"{LIKE}{images[first].source}")
    return grouped


def were_grouped(manifest: Path) -> bool:
    """Whether an earlier prepare has kept near-duplicates in one split, as its manifest tells."""
    header, *rows = readable_rows(manifest) or [[]]
    if GROUP_COLUMN not in header:
        return False
    at = header.index(GROUP_COLUMN)
    return any(name.startswith(LIKE) for row in rows for name in row[at : at + 1])


def inspect_command(task: Task, out: Path) -> str:
    """The command that inspects a task that is prepared in ``out``."""
    folder = "" if out == PREPARED_FOLDER else f" --folder {shlex.quote(str(out))}"
    return f"fashionai inspect --task {task.short_name}{folder}"


def notes_on_alike(alike: Optional[Alike], task: Task, out: Path) -> list[str]:
    """What the user should know about the near-duplicates of a task that is prepared in ``out``."""
    if alike is None or not alike.images:
        return []
    notes = [
        f"{counted(alike.images, 'near-duplicate')} of an earlier image: "
        f"{alike.across_splits:,} in another split, {alike.across_classes:,} with another class",
        f"To list them: {inspect_command(task, out)}",
    ]
    if alike.across_splits and alike.is_prescribed:
        notes.append("To keep them in one split: change some of the splits that the data set gives")
    elif alike.across_splits:
        notes.append("To keep them in one split: prepare with --near-duplicates group")
    return notes


def _first_positions(groups: Sequence[str]) -> np.ndarray:
    """The position of the first record of each record's group, ``(N,) int64``; its own without."""
    first: dict[str, int] = {}
    return np.array([first.setdefault(g, at) if g else at for at, g in enumerate(groups)])
