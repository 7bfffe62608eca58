"""Near-duplicates among the images that prepare splits: counted, and kept together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple, Optional

import numpy as np

from fashionai.datasets.near_duplicates import NearDuplicates, connected
from fashionai.datasets.records import LabelledImage


class Alike(NamedTuple):
    """How many images look like an earlier one, of other bytes.

    ``across_splits`` counts those of them that look like an image of another split, and
    ``across_classes`` those that look like an image of another class.
    """

    images: int
    across_splits: int
    across_classes: int


def count_alike(
    pairs: NearDuplicates,
    images: Sequence[LabelledImage],
    contents: Sequence[str],
    splits: Sequence[str],
) -> Alike:
    """Count near-duplicates; ``contents`` and ``splits`` are those of the images."""
    later: dict[str, set[int]] = defaultdict(set)
    for one, other in zip(pairs.first.tolist(), pairs.second.tolist()):
        if contents[one] == contents[other]:
            continue
        later["images"].add(other)
        if splits[one] != splits[other]:
            later["across_splits"].add(other)
        if images[one].class_index != images[other].class_index:
            later["across_classes"].add(other)
    return Alike(*(len(later[name]) for name in Alike._fields))


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
                grouped[at] = images[at]._replace(group=name or f"like {images[first].source}")
    return grouped


def labelled_already(
    images: Sequence[LabelledImage], contents: Sequence[str], pairs: Optional[NearDuplicates]
) -> np.ndarray:
    """Which images have a pseudo-label and are, or look like, a labelled image, ``(N,) bool``.

    Such an image in training would give away what validation asks for. Chains of near-duplicates
    count: of images with equal hashes only the first one is in pairs with others.
    """
    pseudo = np.array([image.probability is not None for image in images])
    labelled = {content for content, guess in zip(contents, pseudo.tolist()) if not guess}
    known = np.array([content in labelled for content in contents])
    if pairs is not None:
        components = connected(len(images), pairs.first, pairs.second)
        known |= np.isin(components, components[~pseudo])
    return known & pseudo


def _first_positions(groups: Sequence[str]) -> np.ndarray:
    """The position of the first record of each record's group, ``(N,) int64``; its own without."""
    first: dict[str, int] = {}
    return np.array([first.setdefault(g, at) if g else at for at, g in enumerate(groups)])
