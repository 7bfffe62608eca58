"""EfficientNets: published sizes, parts that are trained, and activations."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.freezing import freeze
from fashionai.models.graph import trace
from fashionai.models.networks import efficientnet, efficientnet_lite, efficientnetv2
from fashionai.models.networks.blocks import relu6
from fashionai.models.networks.inverted_residuals import silu
from fashionai.models.networks.options import NetworkOptions
from fashionai.models.networks.registry import NETWORKS
from fashionai.models.zoo import build_network

mx = import_mxnet()

# Trained parameters for 1,000 classes, as torchvision publishes them for B0 to B4 and V2-S
# (5,288,548 to 21,458,488), and timm for the others.
PARAMETERS = {
    "efficientnet_b0": 5_288_548,
    "efficientnet_b1": 7_794_184,
    "efficientnet_b2": 9_109_994,
    "efficientnet_b3": 12_233_232,
    "efficientnet_b4": 19_341_616,
    "efficientnet_lite0": 4_652_008,
    "efficientnet_lite1": 5_416_680,
    "efficientnet_lite2": 6_092_072,
    "efficientnet_lite3": 8_197_096,
    "efficientnet_lite4": 13_006_568,
    "efficientnetv2_b0": 7_139_704,
    "efficientnetv2_b3": 14_358_406,
    "efficientnetv2_s": 21_458_488,
}
SMALL = ["efficientnet_b0", "efficientnet_lite0", "efficientnetv2_b0"]


def test_all_networks_are_here() -> None:
    families = (efficientnet, efficientnet_lite, efficientnetv2)
    assert {name for family in families for name in family.NETWORKS} == PARAMETERS.keys()


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_as_many_as_published(name: str) -> None:
    network = NETWORKS[name](NetworkOptions(1000))
    network.infer_shape(mx.nd.zeros((1, 3, 64, 64)))
    trained = [p for p in network.collect_params().values() if p.grad_req != "null"]
    assert sum(int(np.prod(parameter.shape)) for parameter in trained) == PARAMETERS[name]


@pytest.mark.parametrize("name", SMALL)
def test_the_same_parameters_take_images_of_every_size(name: str) -> None:
    """A run may be trained at one size and predict at another."""
    small, large = build_network(name, 3, 64), build_network(name, 3, 97)
    for parameter, source in zip(large.collect_params().values(), small.collect_params().values()):
        parameter.set_data(source.data())
    images = mx.nd.random.normal(shape=(2, 3, 97, 97))
    np.testing.assert_array_equal(small(images).asnumpy(), large(images).asnumpy())


@pytest.mark.parametrize("name", SMALL)
def test_the_last_stage_begins_where_the_resolution_becomes_smallest(name: str) -> None:
    network = build_network(name, 3, 64)
    freeze(network, "last-stage", 64)
    parameters = network._collect_params_with_prefix()
    stages = {
        key.split(".")[1] for key, value in parameters.items() if value.grad_req != "null"
    } - {"weight", "bias"}
    # Behind the fifth reduction of the sides: the stages of 192 channels and more, and the head.
    widths = {key: value.shape[0] for key, value in parameters.items() if "project.conv" in key}
    expected = {key.split(".")[1] for key, width in widths.items() if width >= 192}
    head = {str(max(int(stage) for stage in expected) + 1)}
    assert stages == expected | head


@pytest.mark.parametrize("name", SMALL)
def test_drop_path_rises_over_the_residual_blocks(name: str) -> None:
    network = NETWORKS[name](NetworkOptions(3, drop_path=0.3))
    nodes = json.loads(network(mx.sym.var("data")).tojson())["nodes"]
    rates = [float(node["attrs"]["p"]) for node in nodes if node["op"] == "Dropout"]
    sums = sum(node["op"] in ("elemwise_add", "_plus") for node in nodes)
    assert rates == sorted(rates)
    assert 0 < rates[0] < rates[-1] <= 0.3
    # All residual blocks but the first one of the network, if it is one, can be left out.
    assert len(rates) in (sums, sums - 1)
    assert {node["attrs"]["axes"] for node in nodes if node["op"] == "Dropout"} == {"(1, 2, 3)"}


def test_activations_are_their_formulas() -> None:
    x = np.linspace(-9, 9, 181, dtype=np.float32)
    np.testing.assert_allclose(silu(mx.nd, mx.nd.array(x)).asnumpy(), x / (1 + np.exp(-x)), 1e-5)
    np.testing.assert_array_equal(relu6(mx.nd, mx.nd.array(x)).asnumpy(), x.clip(0, 6))


@pytest.mark.parametrize(
    ("name", "merged", "count", "separate"),
    [
        ("efficientnet_lite0", "clip", 33, {"Activation"}),
        ("mobilenetv2_1.0", "clip", 36, {"Activation"}),  # Gluon's
        ("mobilenetv2_0.75", "clip", 36, {"Activation"}),  # GluonCV's
        ("efficientnet_b0", "broadcast_mul", 16, {"broadcast_like"}),
    ],
)
def test_what_is_separate_for_gradients_is_one_operator_in_traced_networks(
    name: str, merged: str, count: int, separate: set[str]
) -> None:
    """Which oneDNN fuses and quantizes."""
    network = build_network(name, 3, 32)
    for parameter in network.collect_params().values():
        if parameter.name.endswith("beta"):
            parameter.set_data(mx.nd.random.uniform(-3, 9, parameter.shape))
    own = [node["op"] for node in json.loads(network(mx.sym.var("data")).tojson())["nodes"]]
    assert separate < set(own)
    graph = trace(network)
    operators = [node["op"] for node in json.loads(graph.symbol.tojson())["nodes"]]
    assert not separate & set(operators)
    assert operators.count(merged) == count
    images = mx.nd.random.normal(shape=(2, 3, 32, 32))
    values = {**graph.arguments, **graph.statistics, "data": images}
    aux = {name: values.pop(name) for name in graph.statistics}
    traced = graph.symbol.bind(mx.cpu(), values, aux_states=aux, grad_req="null")
    (output,) = traced.forward(is_train=False)
    expected = network(images).asnumpy()
    np.testing.assert_allclose(output.asnumpy(), expected, rtol=0, atol=1e-5 * abs(expected).max())
