"""The target distributions of samples, and how many of them are predicted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fashionai.metrics import MAYBE, YES
from fashionai.pipeline.augmentation.mixing import Mixing

# In the focal loss, the least 1 - p of a class's probability p: for gamma < 1 the slope of
# (1 - p) ** gamma grows without bound as p approaches 1.
SMALLEST_REST = 1e-12


def soft_targets(
    marks: np.ndarray,
    heads: np.ndarray,
    columns: Sequence[slice],
    *,
    maybe_share: float = 0.0,
    smoothing: float = 0.0,
) -> np.ndarray:
    """Target distributions ``(B, C) float32``: they sum to 1 within a sample's head, 0 elsewhere.

    ``marks`` is ``(B, C) int8``, ``heads`` is ``(B,)``, the head of each sample. The classes
    marked m share ``maybe_share`` equally, and the true class keeps the rest. Label smoothing
    then distributes ``smoothing`` equally over all classes of the head (arXiv:1512.00567,
    section 7).
    """
    truth, maybe = marks == YES, marks == MAYBE
    count = maybe.sum(axis=1, keepdims=True)
    share = np.where(count > 0, maybe_share, 0.0)
    targets = truth * (1 - share) + maybe * share / np.maximum(count, 1)
    if smoothing:
        uniform = np.zeros((len(columns), marks.shape[1]))
        for head, part in enumerate(columns):
            uniform[head, part] = 1 / (part.stop - part.start)
        targets = (1 - smoothing) * targets + smoothing * uniform[heads]
    return targets.astype(np.float32)


def mix_targets(targets: np.ndarray, mixing: Mixing) -> np.ndarray:
    """The targets of mixed images: ``share`` of a sample's own target, the rest its partner's."""
    return mixing.share * targets + (1 - mixing.share) * targets[mixing.partners]


def count_correct(logits: np.ndarray, targets: np.ndarray, columns: Sequence[slice]) -> int:
    """The number of samples whose true class has the largest logit of its head.

    ``logits`` and ``targets`` are ``(B, C)``. The true class is the one with the largest
    target; for a mixed image that is the class with the larger share.
    """
    truth = targets.argmax(axis=1)
    correct = 0
    for part in columns:
        of_head = (truth >= part.start) & (truth < part.stop)
        predicted = logits[of_head, part].argmax(axis=1) + part.start
        correct += int((predicted == truth[of_head]).sum())
    return correct
