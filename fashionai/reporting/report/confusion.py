"""The confusion matrix as a page can show it: of many classes those that are confused most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# A larger matrix cannot be read. The classes that are confused most then have rows of their own.
MOST_CLASSES, SHOWN_CLASSES = 40, 30
MOST_PAIRS = 100
OTHERS = "all other classes"


class ShownMatrix(NamedTuple):
    """A matrix of L labels, ``counts (L, L) int64``, true label by row.

    ``classes`` has the index of each label's class, and -1 for the other classes together.
    """

    labels: Sequence[str]
    classes: Sequence[int]
    counts: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """The counts as shares of their rows ``(L, L)``; 0 in rows without images."""
        return self.counts / np.maximum(self.counts.sum(axis=1, keepdims=True), 1)


class ConfusedPair(NamedTuple):
    """How many images of one class were predicted as another one, and their share of the class."""

    true: int
    predicted: int
    images: int
    share: float


def shown_matrix(confusion: np.ndarray, classes: Sequence[str]) -> ShownMatrix:
    """The matrix of all classes, or of those with the most confused rows and all others."""
    if len(classes) <= MOST_CLASSES:
        return ShownMatrix(classes, range(len(classes)), confusion)
    wrong = confusion - np.diag(np.diag(confusion))
    confused = wrong.sum(axis=0) + wrong.sum(axis=1)
    shown = np.sort(np.argsort(-confused, kind="stable")[:SHOWN_CLASSES])
    place = np.full(len(classes), SHOWN_CLASSES)
    place[shown] = np.arange(SHOWN_CLASSES)
    counts = np.zeros((SHOWN_CLASSES + 1, SHOWN_CLASSES + 1), np.int64)
    np.add.at(counts, (place[:, None], place[None, :]), confusion)
    labels = [*(classes[each] for each in shown), OTHERS]
    return ShownMatrix(labels, [*shown.tolist(), -1], counts)


def confused_pairs(confusion: np.ndarray) -> list[ConfusedPair]:
    """The pairs of classes that are confused most often, at most MOST_PAIRS."""
    wrong = confusion - np.diag(np.diag(confusion))
    cells = [(-int(wrong[t, p]), t, p) for t, p in np.argwhere(wrong).tolist()]
    rows = confusion.sum(axis=1)
    return [
        ConfusedPair(t, p, -count, float(-count / rows[t]))
        for count, t, p in sorted(cells)[:MOST_PAIRS]
    ]
