"""Parts that several families of networks share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.networks.blocks import drop_path, drop_path_rates

mx = import_mxnet()


def test_rates_rise_linearly_from_the_first_block_to_the_last() -> None:
    assert drop_path_rates(0.3, 4) == pytest.approx([0, 0.1, 0.2, 0.3])
    assert drop_path_rates(0.3, 1) == [0]


class Residual(mx.gluon.HybridBlock):
    """The input plus a branch that triples it."""

    def __init__(self, rate: float, axes: int) -> None:
        super().__init__()
        self._rate, self._axes = rate, axes

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803
        return x + drop_path(F, 3 * x, self._rate, self._axes)


@pytest.mark.parametrize("shape", [(4000, 3, 2, 2), (4000, 5, 3)])
@pytest.mark.parametrize("hybrid", [False, True])
def test_branches_are_left_out_image_by_image_and_keep_their_mean(shape, hybrid: bool) -> None:
    block = Residual(0.25, len(shape))
    block.hybridize(active=hybrid)
    x = mx.nd.random.uniform(1, 2, shape=shape)
    x.attach_grad()
    mx.random.seed(0)
    with mx.autograd.record():
        output = block(x)
    output.backward()
    # Without the branch 1; with it 1 + 3 / (1 - 0.25).
    factors = (output / x).asnumpy().reshape(len(x), -1)
    np.testing.assert_allclose(factors, np.repeat(factors[:, :1], factors.shape[1], 1), rtol=1e-6)
    np.testing.assert_allclose(np.unique(factors.round(4)), [1, 5])
    assert abs((factors[:, 0] < 2).mean() - 0.25) < 0.03
    np.testing.assert_allclose(x.grad.asnumpy().reshape(len(x), -1), factors, rtol=1e-6)
    np.testing.assert_allclose((block(x) / x).asnumpy(), 4, rtol=1e-6)


def test_the_choice_depends_on_the_seed_alone() -> None:
    block, x = Residual(0.5, 4), mx.nd.ones((40, 1, 1, 1))

    def drawn(seed: int) -> list[float]:
        mx.random.seed(seed)
        with mx.autograd.record():
            return block(x).asnumpy().ravel().tolist()

    assert drawn(1) == drawn(1) != drawn(2)


def test_without_a_rate_the_graph_has_no_random_operator() -> None:
    assert "Dropout" not in Residual(0, 4)(mx.sym.var("data")).tojson()
    assert "Dropout" in Residual(0.1, 4)(mx.sym.var("data")).tojson()
