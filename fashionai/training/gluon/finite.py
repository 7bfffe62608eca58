"""Whether gradients are finite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
