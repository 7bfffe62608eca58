"""The targets of the cross-entropy, and the cross-entropy of several heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fashionai.metrics import MAYBE, YES
from fashionai.pipeline.mixing import Mixing
from fashionai.runtime import import_mxnet

mx = import_mxnet()
HybridBlock: Any = mx.gluon.HybridBlock


def soft_targets(
    marks: np.ndarray,
    heads: np.ndarray,
    columns: Sequence[slice],
    *,
    maybe_share: float = 0.0,
    smoothing: float = 0.0,
) -> np.ndarray:
    """Target distributions ``(B, C) float32``: zero outside the row's own head, sum 1 within.

    ``marks`` is ``(B, C) int8``, ``heads`` ``(B,)`` the head of each row. Classes
    marked m divide ``maybe_share`` between them, the true class keeps the rest.
    Then ``smoothing`` is divided between all classes of the head
    (arXiv:1512.00567, section 7).
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
    """The targets of mixed images: each row's own share of its target, the rest its partner's."""
    return mixing.share * targets + (1 - mixing.share) * targets[mixing.partners]


class CrossEntropy(HybridBlock):
    """Logits and targets ``(B, C)`` to losses ``(B,)``: the sum of the heads' cross-entropies.

    Each head's columns have a soft-max of their own. A head whose targets are all
    zero adds nothing and gets no gradient.
    """

    def __init__(self, columns: Sequence[slice]) -> None:
        super().__init__()
        self._columns = list(columns)

    def hybrid_forward(self, F: Any, logits: Any, targets: Any) -> Any:  # noqa: N803
        """The loss of every row."""
        parts = [
            F.log_softmax(F.slice_axis(logits, axis=1, begin=part.start, end=part.stop), axis=1)
            for part in self._columns
        ]
        return -F.sum(F.concat(*parts, dim=1) * targets, axis=1)


def count_correct(logits: np.ndarray, targets: np.ndarray, columns: Sequence[slice]) -> int:
    """Rows ``(B, C)`` whose largest logit, within the head of the largest target, is that target's.

    Of a mixed image that is the class with the larger share.
    """
    wanted = targets.argmax(axis=1)
    correct = 0
    for part in columns:
        rows = (wanted >= part.start) & (wanted < part.stop)
        correct += int((logits[rows, part].argmax(axis=1) + part.start == wanted[rows]).sum())
    return correct
