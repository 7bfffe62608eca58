"""What is frozen stays as it is, whatever the rest learns."""

from __future__ import annotations

import numpy as np
import pytest

from fashionai.errors import ConfigError
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.freezing import freeze, layers_and_output, set_layer_rates
from fashionai.models.zoo import build_network

mx = import_mxnet()


def train_steps(network, steps: int = 2, lr: float = 0.1) -> None:
    trainer = mx.gluon.Trainer(network.collect_params(), "sgd", {"learning_rate": lr})
    loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    rng = np.random.default_rng(0)
    for _ in range(steps):
        images = mx.nd.array(rng.normal(size=(4, 3, 64, 64)))
        with mx.autograd.record():
            value = loss(network(images), mx.nd.array([0, 1, 2, 3]))
        value.backward()
        trainer.step(4)


def changed(network, before: dict[str, np.ndarray]) -> set[str]:
    now = network._collect_params_with_prefix()
    return {name for name in now if not np.array_equal(now[name].data().asnumpy(), before[name])}


def values(network) -> dict[str, np.ndarray]:
    parameters = network._collect_params_with_prefix()
    return {name: p.data().asnumpy().copy() for name, p in parameters.items()}


@pytest.mark.parametrize(
    "name", ["resnet18_v2", "resnet18_v1b", "mobilenet0.25", "efficientnet_lite0"]
)
def test_a_frozen_network_learns_its_output_alone(name: str) -> None:
    """Statistics of batch normalisation as well: frozen ones are those that are stored."""
    network = build_network(name, 4, 64)
    freeze(network, "head", 64)
    before = values(network)
    train_steps(network)
    output = layers_and_output(network)[1]
    own = {id(p) for p in output.collect_params().values()}
    names = {n for n, p in network._collect_params_with_prefix().items() if id(p) in own}
    assert len(names) == 2
    # Images may die out in random layers that never normalise: then only the bias learns.
    assert set() < changed(network, before) <= names


def test_frozen_layers_compute_the_same_in_training_and_evaluation() -> None:
    network = build_network("resnet18_v2", 4, 64)
    freeze(network, "head", 64)
    images = mx.nd.array(np.random.default_rng(1).normal(size=(3, 3, 64, 64)))
    with mx.autograd.record(train_mode=True):
        training = network(images).asnumpy()
    np.testing.assert_allclose(training, network(images).asnumpy(), rtol=1e-5, atol=1e-6)


def test_the_last_stage_of_a_resnet_is_its_fourth() -> None:
    network = build_network("resnet18_v2", 4, 64)
    freeze(network, "last-stage", 64)
    before = values(network)
    train_steps(network)
    moved = {name.split(".")[1] for name in changed(network, before) if name.startswith("features")}
    # 0 to 4: the stem; 5 to 8: the stages; 9: batch normalisation; 11, 12: pooling, flattening.
    assert moved == {"8", "9"}
    assert any(name.startswith("output") for name in changed(network, before))


def test_the_head_learns_at_its_own_rate() -> None:
    ends = []
    for factor in (1.0, 10.0):
        mx.random.seed(0)
        network = build_network("small_cnn", 4, 64)
        set_layer_rates(network, factor, 1.0, 64)
        before = values(network)
        train_steps(network, steps=1)
        after = values(network)
        ends.append({name: after[name] - before[name] for name in before})
    for name in ("output.weight", "output.bias"):
        np.testing.assert_allclose(ends[1][name], 10 * ends[0][name], rtol=1e-3, atol=1e-7)
    name = "features.0.weight"
    np.testing.assert_allclose(ends[1][name], ends[0][name], rtol=1e-3, atol=1e-7)


def test_a_network_without_an_output_layer_is_refused() -> None:
    network = mx.gluon.nn.HybridSequential()
    network.add(mx.gluon.nn.Conv2D(4, 3), mx.gluon.nn.GlobalAvgPool2D(), mx.gluon.nn.Flatten())
    with pytest.raises(ConfigError, match="the output layer of this network cannot be identified"):
        freeze(network, "head", 64)
