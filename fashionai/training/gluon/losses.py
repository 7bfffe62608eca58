"""Cross-entropy of one or several heads, and the focal loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.training.batches.targets import SMALLEST_REST

mx = import_mxnet()
HybridBlock: Any = mx.gluon.HybridBlock


class CrossEntropy(HybridBlock):
    """Losses ``(B,)`` of logits and targets ``(B, C)``: the sum of the heads' cross-entropies.

    The soft-max is taken over the columns of each head separately. A head whose targets are
    all zero adds nothing to the loss and gets no gradient. With ``gamma`` above 0 it is the focal
    loss (arXiv:1708.02002): the term of each class of probability p is multiplied by
    (1 - p) ** gamma.
    """

    def __init__(self, columns: Sequence[slice], gamma: float = 0.0) -> None:
        super().__init__()
        self._columns, self._gamma = list(columns), gamma

    def hybrid_forward(self, F: Any, logits: Any, targets: Any) -> Any:  # noqa: N803
        """The loss of every sample."""
        parts = [
            F.log_softmax(F.slice_axis(logits, axis=1, begin=part.start, end=part.stop), axis=1)
            for part in self._columns
        ]
        logarithms = F.concat(*parts, dim=1)
        if self._gamma:
            rest = F.clip(-F.expm1(logarithms), SMALLEST_REST, 1.0)
            targets = targets * rest**self._gamma
        return -F.sum(logarithms * targets, axis=1)
