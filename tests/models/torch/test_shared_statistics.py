"""Batch normalisation over the images of all processes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fashionai.frameworks.mxnet import import_mxnet
from tests.support.graphs import by_mxnet, description_of, random_images, random_values

torch = pytest.importorskip("torch")
GraphNetwork = pytest.importorskip("fashionai.models.torch.network").GraphNetwork
SharedSums = pytest.importorskip("fashionai.models.torch.layers").SharedSums
mx = import_mxnet()


class Meeting:
    """Adds the tensors of threads that stand for processes."""

    def __init__(self, count: int) -> None:
        self._barrier, self._tensors = threading.Barrier(count, timeout=60), [None] * count

    def of(self, index: int):
        def add(tensor):
            self._tensors[index] = tensor
            self._barrier.wait()
            result = sum(self._tensors)
            self._barrier.wait()
            return result

        return SharedSums(add, len(self._tensors))


@pytest.mark.parametrize("pooled", [True, False])
def test_statistics_of_processes_with_one_image_each_are_those_of_all_images(pooled: bool) -> None:
    """Of pooled maps each process has one value per channel, whose own variance is 0."""
    symbol = mx.sym.var("data")
    if pooled:
        symbol = mx.sym.Pooling(symbol, global_pool=True, pool_type="avg")
    symbol = mx.sym.BatchNorm(symbol, name="norm")
    images = random_images(8, count=3)
    values = random_values(symbol, images.shape)
    expected = by_mxnet(symbol, values, images).statistics
    meeting, description = Meeting(len(images)), description_of(symbol, values)
    networks = [GraphNetwork(description, shared=meeting.of(i)).train() for i in range(3)]

    def compute(index: int) -> None:
        part = images[index : index + 1]
        networks[index](torch.from_numpy(part))
        networks[index].update_statistics(part.shape)

    with ThreadPoolExecutor(len(images)) as pool:
        list(pool.map(compute, range(len(images))))
    for network in networks:
        for name, each in expected.items():
            found = network.named()[name].numpy()
            np.testing.assert_allclose(found, each, rtol=0, atol=1e-5 * np.abs(each).max())
