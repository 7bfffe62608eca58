"""Arrays on their way to a device, and batches in parts."""

from __future__ import annotations

import numpy as np
import pytest

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models import forward
from fashionai.models.forward import IMAGES_PER_THREAD, Forward, Normalize, to_device

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


class Watched(mx.gluon.nn.Dense):
    """Knows the shapes of what it was given."""

    def __call__(self, x: object) -> object:
        self.shapes = [*getattr(self, "shapes", []), x.shape]
        return super().__call__(x)


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("rows", [1, 7, IMAGES_PER_THREAD, IMAGES_PER_THREAD + 1, 43])
def test_the_cpu_computes_parts_of_one_size_and_every_image_gets_its_own_output(
    rows: int, devices: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "compute_threads", lambda: 1)
    network = Watched(4, in_units=3)
    contexts = [mx.cpu(device) for device in range(devices)]
    network.initialize(mx.init.Normal(1), ctx=contexts)
    pixels = np.random.default_rng(rows).integers(0, 256, (rows, 1, 1, 3), np.uint8)
    found = Forward(network, (0, 0, 0), (1, 1, 1), contexts, [slice(0, 4)]).outputs(pixels)()
    weight, bias = network.weight.data(contexts[0]), network.bias.data(contexts[0])
    inputs = pixels.reshape(rows, 3) / 255
    np.testing.assert_allclose(found, inputs @ weight.asnumpy().T + bias.asnumpy(), atol=1e-5)
    sizes = [shape[0] for shape in network.shapes]
    parts = [sum(sizes[at : at + devices]) for at in range(0, len(sizes), devices)]
    assert len(set(parts)) == 1
    assert parts[0] <= IMAGES_PER_THREAD
    assert sum(parts) < rows + len(parts), "filled up with more than is needed"
