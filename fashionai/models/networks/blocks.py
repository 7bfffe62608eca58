"""Parts that several families of networks share."""

from __future__ import annotations

from typing import Any

import numpy as np


def relu6(F: Any, x: Any) -> Any:  # noqa: N803 - Gluon's name
    """The values of x, those below 0 as 0 and those above 6 as 6.

    The form is that of the fastest training step on the CPU, measured with 96 channels of 48 x 48
    pixels between depthwise and pointwise convolutions: with clip alone a step takes twice as long,
    because negative values are slow, and with a minimum in its place five times as long where
    AVX-512 is used, because oneDNN then computes the gradient of batch normalisation by its
    reference code.
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
