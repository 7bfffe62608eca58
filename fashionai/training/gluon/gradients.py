"""What is asked of all gradients on one device together: whether they are finite, their norm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fashionai.frameworks.mxnet import import_mxnet

mx = import_mxnet()

# MXNet's check takes at most this many arrays at once.
LARGEST_GROUP = 200


def all_finite(arrays: Sequence[Any]) -> bool:
    """Whether all elements of arrays on one device are finite; waits for them."""
    finite = mx.nd.ones((1,), ctx=arrays[0].context)
    for start in range(0, len(arrays), LARGEST_GROUP):
        group = arrays[start : start + LARGEST_GROUP]
        mx.nd.multi_all_finite(*group, num_arrays=len(group), init_output=False, out=finite)
    return bool(finite.asscalar())


def global_norm(arrays: Sequence[Any]) -> float:
    """The Euclidean norm of all elements of float32 arrays on one device; waits for them."""
    # MXNet's norm and multi_sum_sq add millions of squares one after the other in float32, which
    # loses three digits; BLAS does not.
    flat = [array.reshape(-1) for array in arrays]
    squares = mx.nd.concat(*(mx.nd.dot(each, each) for each in flat), dim=0).asnumpy()
    return math.sqrt(squares.sum(dtype=np.float64))
