"""Arrays on their way to a device."""

from __future__ import annotations

import numpy as np
import pytest

from fashionai.models.forward import Normalize, to_device
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


def test_pixels_are_normalised_by_the_formula() -> None:
    rng, mean, std = np.random.default_rng(0), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    pixels = rng.integers(0, 256, (2, 5, 7, 3), np.uint8)
    found = Normalize(mean, std)(mx.nd.array(pixels, dtype="uint8"))
    assert found.dtype == np.float32
    expected = ((pixels / 255 - mean) / std).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(found.asnumpy(), expected, rtol=0, atol=1e-6)
