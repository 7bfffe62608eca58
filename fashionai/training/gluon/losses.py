"""Cross-entropy of one or several heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fashionai.frameworks.mxnet import import_mxnet

mx = import_mxnet()
HybridBlock: Any = mx.gluon.HybridBlock


class CrossEntropy(HybridBlock):
    """Losses ``(B,)`` of logits and targets ``(B, C)``: the sum of the heads' cross-entropies.

    The soft-max is taken over the columns of each head separately. A head whose targets are
    all zero adds nothing to the loss and gets no gradient.
    """

    def __init__(self, columns: Sequence[slice]) -> None:
        super().__init__()
        self._columns = list(columns)

    def hybrid_forward(self, F: Any, logits: Any, targets: Any) -> Any:  # noqa: N803
        """The loss of every sample."""
        parts = [
            F.log_softmax(F.slice_axis(logits, axis=1, begin=part.start, end=part.stop), axis=1)
            for part in self._columns
        ]
        return -F.sum(F.concat(*parts, dim=1) * targets, axis=1)
