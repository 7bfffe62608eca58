"""Pseudo-labelled images among those to prepare: which ones are left out, and what is told.

An image in training that is, or looks like, one of validation or test would give away its class.
One that corrections drop is not wanted under another name either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Optional

import numpy as np

from fashionai.datasets.names import HELD_OUT_SPLITS
from fashionai.datasets.near_duplicates import (
    NearDuplicates,
    connected,
    find_near_duplicates,
    hash_matrix,
)
from fashionai.datasets.prepared.check import Checked
from fashionai.datasets.records import LabelledImage
from fashionai.errors import counted
from fashionai.progress import ProgressBar
from fashionai.tasks import Task


class LeftOut(NamedTuple):
    """Which images have a pseudo-label and are left out, each ``(N,) bool``.

    ``labelled`` are, or look like, a labelled image; the others of ``dropped`` one that corrections
    drop.
    """

    labelled: np.ndarray
    dropped: np.ndarray


class PseudoLabels(NamedTuple):
    """Numbers of images with a pseudo-label.

    ``added`` are in training. ``labelled`` and ``dropped`` are left out, see LeftOut. Of those that
    are added ``alike`` look like an image that is labelled or dropped, and ``held_out`` like one of
    validation or test. ``former`` is the number that an earlier prepare had added.
    """

    added: int = 0
    labelled: int = 0
    dropped: int = 0
    alike: int = 0
    held_out: int = 0
    former: int = 0


@dataclass(frozen=True)
class ComparedImages:
    """N images that can be used, and what they are compared by.

    ``contents`` are the hashes of their bytes. ``is_dropped`` ``(N,) bool`` tells the images that
    corrections drop, which are not prepared. ``pairs`` are None where near-duplicates were not
    looked for.
    """

    images: Sequence[LabelledImage]
    contents: Sequence[str]
    is_dropped: np.ndarray
    pairs: Optional[NearDuplicates]

    def left_out(self, *, with_alike: bool) -> LeftOut:
        """The pseudo-labelled images to leave out: those of the same bytes, or also those alike."""
        labelled = self._pseudo_like(~self._is_pseudo & ~self.is_dropped, with_alike)
        return LeftOut(labelled, ~labelled & self._pseudo_like(self.is_dropped, with_alike))

    def stay(self, left_out: LeftOut) -> np.ndarray:
        """Which images are prepared, ``(N,) bool``."""
        return ~(self.is_dropped | left_out.labelled | left_out.dropped)

    def count(self, left_out: LeftOut, splits: Sequence[str], former: int) -> PseudoLabels:
        """Count the pseudo-labels; ``splits`` are those of the images that stay."""
        stay = self.stay(left_out)
        is_held_out = np.zeros(len(stay), bool)
        is_held_out[stay] = np.isin(splits, HELD_OUT_SPLITS)
        added = stay & self._is_pseudo
        alike = stay & self._pseudo_like(~self._is_pseudo, with_alike=True)
        held_out = stay & self._pseudo_like(is_held_out, with_alike=True)
        return PseudoLabels(
            int(added.sum()),
            int(left_out.labelled.sum()),
            int(left_out.dropped.sum()),
            int(alike.sum()),
            int(held_out.sum()),
            former,
        )

    @cached_property
    def _is_pseudo(self) -> np.ndarray:
        """Which images have a pseudo-label, ``(N,) bool``."""
        return np.array([image.probability is not None for image in self.images], bool)

    @cached_property
    def _groups(self) -> Optional[np.ndarray]:
        """The group of near-duplicates of each image, ``(N,) int64``; None without pairs.

        Chains of near-duplicates count: of images with equal hashes only the first one is in pairs
        with others.
        """
        if self.pairs is None:
            return None
        return connected(len(self.images), self.pairs.first, self.pairs.second)

    def _pseudo_like(self, those: np.ndarray, with_alike: bool) -> np.ndarray:
        """Which pseudo-labelled images have the bytes of one of ``those``, ``(N,) bool``.

        With ``with_alike`` also those that look like it.
        """
        if not self._is_pseudo.any():
            return self._is_pseudo
        known = {content for content, is_one in zip(self.contents, those.tolist()) if is_one}
        found = np.array([content in known for content in self.contents], bool)
        if with_alike and self._groups is not None:
            found |= np.isin(self._groups, self._groups[those])
        return found & self._is_pseudo


def compare(
    images: Sequence[LabelledImage],
    checked: Sequence[Checked],
    count: int,
    task: Task,
    progress: ProgressBar,
) -> ComparedImages:
    """Compare the images without damage; those from position ``count`` on are dropped ones."""
    sound = [at for at, each in enumerate(checked) if not each.damage]
    hashes = [each for at in sound if (each := checked[at].hash) is not None]
    pairs = None
    if hashes:
        with progress(f"{task.short_name}: comparing images", len(hashes)) as advance:
            pairs = find_near_duplicates(hash_matrix(hashes), advance)
    contents = [checked[at].content for at in sound]
    return ComparedImages([images[at] for at in sound], contents, np.array(sound) >= count, pairs)


def notes_on_pseudo_labels(counts: PseudoLabels, *, given: bool, with_alike: bool) -> list[str]:
    """What the user should know about the pseudo-labels of a task.

    ``given`` tells that there was a file of them, and ``with_alike`` that images were left out also
    where they only look like others.
    """
    notes = []
    if counts.added:
        notes.append(f"pseudo-labels: {counted(counts.added, 'image')} added to train")
    if counts.labelled:
        known = counted(counts.labelled, "pseudo-label")
        alike = ", or near-duplicates of labelled images" if with_alike else ""
        notes.append(f"{known} left out: labelled already{alike}")
    if counts.dropped:
        dropped = counted(counts.dropped, "pseudo-label")
        alike = ", or one that looks like it" if with_alike else ""
        notes.append(f"{dropped} left out: the corrections drop the image{alike}")
    if counts.alike:
        alike = counted(counts.alike, "near-duplicate")
        notes += [
            f"pseudo-labels added: {alike} of labelled or dropped images",
            f"pseudo-labels added that look like images in val or test: {counts.held_out:,}",
            "To leave them out: prepare with --near-duplicates group",
        ]
    if counts.former and not counts.added:
        former = counted(counts.former, "pseudo-label")
        reason = "" if given else ": --pseudo-labels was not given"
        notes.append(f"{former} of the last time removed{reason}")
    return notes
