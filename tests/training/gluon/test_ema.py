"""Averaged weights against the formula written as a loop."""

from __future__ import annotations

import numpy as np
import pytest

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.training.gluon.ema import WeightAverage

mx = import_mxnet()
nn = mx.gluon.nn


def make_network(layers: int = 2, contexts=None):
    """Dense layers and batch normalisations: six parameters each pair, two without gradient."""
    network = nn.HybridSequential()
    for _ in range(layers):
        network.add(nn.Dense(3, in_units=3), nn.BatchNorm(in_channels=3))
    network.initialize(mx.init.Normal(1), ctx=contexts or [mx.cpu()])
    return network


def values(network, context=None) -> dict[str, np.ndarray]:
    parameters = network._collect_params_with_prefix()
    return {name: p.data(context or mx.cpu()).asnumpy() for name, p in parameters.items()}


def change(network, step: int) -> None:
    """New values for all parameters, as a step of training would leave them."""
    for number, parameter in enumerate(network._collect_params_with_prefix().values()):
        rng = np.random.default_rng((step, number))
        parameter.set_data(mx.nd.array(rng.normal(size=parameter.shape)))


@pytest.mark.parametrize(("decay", "layers"), [(0.05, 1), (0.5, 1), (0.99, 1), (0.6, 16)])
def test_the_average_is_that_of_the_formula_at_every_step(decay: float, layers: int) -> None:
    """With more parameters than one operator takes, too."""
    network = make_network(layers)
    average = WeightAverage(network, decay)
    expected = {name: array.astype(np.float64) for name, array in values(network).items()}
    assert len(expected) in (6, 96)
    used = set()
    for step in range(30):
        change(network, step)
        average.update(step)
        d = min(decay, (1 + step) / (10 + step))
        used.add(d == decay)
        for name, weight in values(network).items():
            expected[name] = d * expected[name] + (1 - d) * weight
        found = average.arrays()
        assert found.keys() == expected.keys()
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-6)
    # A decay below 1/10 holds from the first step, one above 30/39 not before the last.
    assert used == {0.05: {True}, 0.99: {False}}.get(decay, {False, True})


def test_training_goes_on_from_weights_that_the_average_has_not_touched() -> None:
    network = make_network()
    average = WeightAverage(network, 0.9)
    change(network, 0)
    before = values(network)
    average.update(0)
    for name, array in values(network).items():
        assert np.array_equal(array, before[name])


@pytest.mark.parametrize("contexts", [[mx.cpu(0)], [mx.cpu(0), mx.cpu(1)]], ids=["one", "two"])
def test_applied_shows_the_averages_on_all_devices_and_restores_bit_for_bit(contexts) -> None:
    network = make_network(contexts=contexts)
    average = WeightAverage(network, 0.9)
    for step in range(3):
        change(network, step)
        average.update(step)
    before, averages = values(network), average.arrays()
    with average.applied():
        for context in contexts:
            for name, array in values(network, context).items():
                assert np.array_equal(array, averages[name])
                assert not np.array_equal(array, before[name])
    with pytest.raises(KeyError), average.applied():
        raise KeyError("validation was stopped")
    for context in contexts:
        for name, array in values(network, context).items():
            assert np.array_equal(array, before[name])
    for name, array in average.arrays().items():
        assert np.array_equal(array, averages[name])


def test_what_a_hybridized_network_computes_changes_with_its_weights() -> None:
    """The graph that was planned for speed must read the averages, not the weights it knew."""
    network = make_network()
    network.hybridize(static_alloc=True, static_shape=True)
    average = WeightAverage(network, 0.9)
    images = mx.nd.array(np.random.default_rng(0).normal(size=(4, 3)))
    plain = network(images).asnumpy()
    change(network, 0)
    changed = network(images).asnumpy()
    with average.applied():
        np.testing.assert_array_equal(network(images).asnumpy(), plain)
    np.testing.assert_array_equal(network(images).asnumpy(), changed)
    assert not np.allclose(plain, changed)


def test_restore_puts_back_arrays_of_the_same_network_only() -> None:
    network = make_network()
    average = WeightAverage(network, 0.9)
    saved = average.arrays()
    change(network, 0)
    average.update(0)
    average.restore(saved)
    for name, array in average.arrays().items():
        assert np.array_equal(array, saved[name])
    with pytest.raises(KeyError):
        average.restore({})
    name = next(iter(saved))
    with pytest.raises(ValueError, match="broadcast"):
        average.restore({**saved, name: np.zeros((7, 7), np.float32)})
