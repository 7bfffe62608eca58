"""Parts that several families of networks share."""

from __future__ import annotations

from typing import Any

import numpy as np


def relu6(F: Any, x: Any) -> Any:  # noqa: N803 - Gluon's name
    """x cut to 0 to 6.

    On the CPU the operator clip alone takes twice as long: its branches are mispredicted. A minimum
    in its place takes five times as long after a depthwise convolution and a batch normalisation,
    for whose gradients oneDNN then has no fast code.
    """
    return F.clip(F.Activation(x, act_type="relu"), 0, 6)


def drop_path_rates(largest: float, blocks: int) -> list[float]:
    """The probability with which each residual block leaves its branch out.

    The probabilities rise linearly from 0 for the first block to ``largest`` for the last.
    """
    return [float(rate) for rate in np.linspace(0, largest, blocks)]


def drop_path(F: Any, branch: Any, rate: float, axes: int = 4) -> Any:  # noqa: N803 - Gluon's name
    """Leave a residual branch out for some images in training (stochastic depth).

    ``branch`` ``(B, ...)`` has so many axes. An image's branch becomes 0 with probability
    ``rate``, otherwise it is divided by 1 - ``rate``, so that its mean stays. With a rate of 0
    the graph has no random operator.
    """
    return F.Dropout(branch, p=rate, axes=tuple(range(1, axes))) if rate else branch
