"""Slices and pooling compute their indices and counts on the device, for all sizes alike."""

from __future__ import annotations

import numpy as np
import pytest

from fashionai.frameworks.mxnet import import_mxnet
from tests.support.graphs import description_of, random_values

torch = pytest.importorskip("torch")
GraphNetwork = pytest.importorskip("fashionai.models.torch.network").GraphNetwork
S = import_mxnet().sym
X = S.var("data")

IMAGES = (2, 4, 7, 9)


class CalledFunctions(torch.overrides.TorchFunctionMode):
    """The functions of PyTorch that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.called: set[object] = set()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.called.add(func)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "symbol",
    [
        S.slice(X, begin=(None,) * 4, end=(None,) * 4, step=(None, None, -1, -1)),
        S.slice(X, begin=(None, 3), end=(None, 0), step=(1, -2)),
        S.Pooling(X, kernel=(3, 3), stride=(2, 2), pad=(2, 2), pool_type="avg"),
    ],
)
def test_no_values_come_from_the_cpu(symbol) -> None:
    """A GPU would compute all that it has to do before it took them over."""
    network = GraphNetwork(description_of(symbol, random_values(symbol, IMAGES))).eval()
    with CalledFunctions() as functions:
        network(torch.ones(IMAGES))
    assert functions.called
    assert not functions.called & {torch.tensor, torch.as_tensor, torch.from_numpy}


def test_mirrored_maps_of_all_sizes_are_one_program() -> None:
    unchanged = (None,) * 4
    symbol = S.slice(X, begin=unchanged, end=unchanged, step=(None, None, -1, -2))
    network = GraphNetwork(description_of(symbol, {})).eval()
    programs = []

    def backend(module, inputs):
        programs.append(module)
        return module

    compiled = torch.compile(network.graph, backend=backend, fullgraph=True, dynamic=True)
    for side in (4, 6, 7):
        images = torch.rand(2, 3, side, side + 1)
        expected = images.numpy()[:, :, ::-1, ::-2]
        np.testing.assert_array_equal(compiled(images, False).numpy(), expected)
    assert len(programs) == 1
