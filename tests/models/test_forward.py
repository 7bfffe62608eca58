"""Arrays on their way to a device."""

from __future__ import annotations

import numpy as np
import pytest

from fashionai.models.forward import to_device
from fashionai.runtime import import_mxnet

mx = import_mxnet()


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32"])
@pytest.mark.parametrize("device", [0, 1])
def test_an_array_arrives_as_it_is(dtype: str, device: int) -> None:
    values = np.random.default_rng(0).integers(0, 256, (3, 5, 7)).astype(dtype)
    for view in (values, values[:, 1], values[::-1, :, ::2], values.transpose(2, 0, 1)):
        array = to_device(view, mx.cpu(device))
        assert (array.context, array.dtype) == (mx.cpu(device), np.dtype(dtype))
        np.testing.assert_array_equal(array.asnumpy(), view)


def test_what_changes_afterwards_does_not_reach_the_device() -> None:
    """While operators of many arrays are under way, whose memory is given to new ones."""
    rng = np.random.default_rng(0)
    values = np.empty((64, 64), np.float32)
    sums, wanted = [], []
    for _ in range(200):
        values[:] = rng.integers(0, 9, values.shape)
        array = to_device(values, mx.cpu())
        sums.append((mx.nd.dot(array, array.T) + array).sum())
        wanted.append((values @ values.T + values).sum(dtype=np.float64))
        values[:] = -1
    np.testing.assert_allclose([each.asscalar() for each in sums], wanted, rtol=1e-5)
