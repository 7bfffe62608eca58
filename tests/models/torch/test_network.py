"""Whole networks against Gluon: outputs, gradients, running statistics, parts, parameters."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.backbone import cut_backbone
from fashionai.models.describe import describe
from fashionai.models.freezing import freeze, moving_parameters
from fashionai.models.graph import changed_symbol
from fashionai.models.zoo import network_names
from fashionai.training.gluon.losses import CrossEntropy
from tests.support.graphs import (
    by_mxnet,
    description_of,
    random_images,
    random_network,
    randomise,
    weights_of,
)
from tests.support.learners import smooth_net
from tests.support.transformers import SMALL, small_network

torch = pytest.importorskip("torch")
mx = import_mxnet()

# Of every family that has operators of its own.
NETWORKS = [
    "cifar_residualattentionnet56",
    "cifar_resnet20_v2",
    "convnext_atto",
    "covers_lenet",
    "densenet121",
    "googlenet",
    "mobilenetv2_0.25",
    "mobilenetv3_small",
    "resnest14",
    "resnet18_v2",
    "se_resnext50_32x4d",
    "shufflenet_v1",
    "shufflenet_v2",
    "efficientnet_lite0",
    "efficientnetv2_b0",
    "squeezenet1.1",
    "vit_tiny",
    "xception",
]


# The columns of two tasks in the output of one network.
HEADS = [slice(0, 3), slice(3, 5)]


def graph_network(description, **part):
    from fashionai.models.torch.network import GraphNetwork

    return GraphNetwork(description, **part)


def check_forward(name: str) -> None:
    network, crop = random_network(name)
    images = random_images(crop)
    expected = network(mx.nd.array(images)).asnumpy()
    with torch.no_grad():
        actual = graph_network(describe(network, crop)).eval()(torch.from_numpy(images)).numpy()
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_answer_as_gluon_does(name: str) -> None:
    check_forward(name)


@pytest.mark.every_network
@pytest.mark.parametrize("name", network_names())
def test_every_network_answers_as_gluon_does(name: str) -> None:
    check_forward(name)


def smooth(network):
    """The symbol of a network with each ReLU replaced by log(1 + exp(x)).

    Where a ReLU's input is nearly 0, rounding decides whether its gradient is 0 or 1.
    """
    graph = json.loads(network(mx.sym.var("data")).tojson())
    for node in graph["nodes"]:
        is_relu = node.get("attrs", {}).get("act_type") == "relu"
        if is_relu or node["op"] in ("clip", "relu"):
            node.update(op="Activation", attrs={"act_type": "softrelu"})
    return changed_symbol(graph)


def close(actual: np.ndarray, expected: np.ndarray, tolerance: float, scale: float = 0) -> None:
    """Differences relative to the largest value, or to ``scale`` where all values are smaller."""
    largest = max(np.abs(expected).max(), scale)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * largest)


def step(network, images: np.ndarray) -> dict[str, np.ndarray]:
    """The gradients of a training step whose output has the gradient ``weights_of``."""
    dtype = next(network.parameters()).dtype
    output = network.train()(torch.from_numpy(images).to(dtype))
    network.update_statistics(images.shape)
    (output * torch.from_numpy(weights_of(output.shape))).sum().backward()
    return {
        name: np.zeros(each.shape) if each.grad is None else each.grad.numpy()
        for name, each in network.named().items()
        if each.requires_grad
    }


def check_gradients(actual, exact, tolerance: float = 1e-4) -> None:
    """Compare all gradients with those in float64, relative to the largest of each parameter.

    Batch normalisation takes away a constant that was added before it, whose gradient is 0: it is
    compared relative to the largest of all parameters.
    """
    largest = max(np.abs(each).max() for each in exact.values())
    assert actual.keys() >= exact.keys()
    for name, expected in exact.items():
        own = np.abs(expected).max()
        allowed = 1e-5 * largest if own < 1e-9 * largest else tolerance * own
        np.testing.assert_allclose(actual[name], expected, rtol=0, atol=allowed)


# MXNet's float32 alone: its rounding adds up over the 120 convolutions of DenseNet-121, to 1.4e-4
# of a gradient. PyTorch's stays below 3e-5.
MXNET_TOLERANCES = {"densenet121": 3e-4}


@pytest.mark.parametrize(
    "name",
    ["resnet18_v1b", "resnet18_v2", "mobilenetv2_0.25", "shufflenet_v1", "densenet121"],
)
def test_a_step_gives_the_gradients_and_statistics_of_mxnet(name: str) -> None:
    network, _ = random_network(name)
    symbol, images = smooth(network), random_images(64, count=4)
    values = {key: p.data().asnumpy() for key, p in network.collect_params().items()}
    description = description_of(symbol, values)
    theirs = by_mxnet(symbol, values, images)
    ours, exact = graph_network(description), graph_network(description).double()
    gradients, exact_gradients = step(ours, images), step(exact, images)
    check_gradients(gradients, exact_gradients)
    check_gradients(theirs.gradients, exact_gradients, MXNET_TOLERANCES.get(name, 1e-4))
    for key, statistics in theirs.statistics.items():
        close(ours.named()[key].numpy(), statistics, 1e-6, scale=1)
        close(exact.named()[key].numpy(), statistics, 1e-6, scale=1)


@pytest.mark.parametrize("name", SMALL)
def test_gradients_of_transformers_are_those_of_mxnet(name: str) -> None:
    network, images = small_network(name), random_images(64, count=4)
    symbol = network(mx.sym.var("data"))
    values = {key: p.data().asnumpy() for key, p in network.collect_params().items()}
    theirs = by_mxnet(symbol, values, images)
    description = description_of(symbol, values)
    gradients = step(graph_network(description), images)
    exact = step(graph_network(description).double(), images)
    check_gradients(gradients, exact)
    check_gradients(theirs.gradients, exact)


def gradients_of_heads(network, images: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
    """The gradients of the sum of both heads' cross-entropies."""
    given = next(network.parameters()).dtype
    logits = network.train()(torch.from_numpy(images).to(given))
    for part in HEADS:
        rows = torch.from_numpy(targets[:, part]).to(given)
        loss = -(torch.log_softmax(logits[:, part], dim=1) * rows).sum()
        loss.backward(retain_graph=True)
    named = network.named().items()
    return {name: each.grad.numpy() for name, each in named if each.requires_grad}


@pytest.mark.parametrize("trainable", ["all", "last-stage"])
def test_gradients_of_two_heads_and_frozen_stages_are_those_of_mxnet(trainable: str) -> None:
    """Each image has the classes of one head; frozen layers normalise by running statistics."""
    network, images = smooth_net(5), random_images(32, count=4)
    network.initialize(mx.init.Xavier())
    network(mx.nd.array(images))
    randomise(network, 32)
    freeze(network, trainable, 32)
    description = describe(network, 32)
    targets = np.zeros((4, 5), np.float32)
    targets[[0, 1, 2, 3], [1, 3, 2, 4]], targets[2, 0] = 0.75, 0.25
    with mx.autograd.record():
        losses = CrossEntropy(HEADS)(network(mx.nd.array(images)), mx.nd.array(targets))
    losses.backward()
    parameters = network._collect_params_with_prefix().items()
    theirs = {name: p.grad().asnumpy() for name, p in parameters if p.grad_req != "null"}
    assert theirs.keys() == description.rates.keys() < description.parameters.keys()
    ours, exact = graph_network(description), graph_network(description).double()
    exact_gradients = gradients_of_heads(exact, images, targets)
    assert exact_gradients.keys() == theirs.keys()
    check_gradients(gradients_of_heads(ours, images, targets), exact_gradients)
    check_gradients(theirs, exact_gradients)


@pytest.mark.parametrize("name", SMALL)
def test_transformers_in_bfloat16_are_near_those_in_float32(name: str) -> None:
    network, images = small_network(name), torch.from_numpy(random_images(64))
    ours = graph_network(describe(network, 64)).eval()
    with torch.no_grad():
        expected = ours(images)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = ours(images)
    assert 1e-4 < (rounded.float() - expected).abs().max() / expected.abs().max() < 0.03


@pytest.mark.parametrize("name", SMALL)
def test_transformers_learn_in_bfloat16(name: str) -> None:
    """The gradients are float32, and together point where those of float32 do."""
    description, images = describe(small_network(name), 64), random_images(64)
    expected = step(graph_network(description), images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = step(graph_network(description), images)
    assert {each.dtype for each in found.values()} == {np.dtype(np.float32)}
    left, right = (
        np.concatenate([gradients[key].ravel() for key in expected])
        for gradients in (found, expected)
    )
    cosine = left @ right / (np.linalg.norm(left) * np.linalg.norm(right))
    assert 0.99 < cosine < 1 - 1e-6


def frozen_network(name: str, trainable: str):
    network, crop = random_network(name)
    freeze(network, trainable, crop)
    return network, crop


@pytest.mark.parametrize("trainable", ["all", "last-stage", "head"])
def test_the_parameters_that_are_trained_move(trainable: str) -> None:
    network, crop = frozen_network("resnet18_v2", trainable)
    description = describe(network, crop)
    assert set(description.moving) == set(moving_parameters(network))
    assert set(description.rates) == {
        name for name, p in network._collect_params_with_prefix().items() if p.grad_req != "null"
    }
    ours = graph_network(description)
    images = random_images(crop, count=4)
    with mx.autograd.record():
        output = network(mx.nd.array(images))
    output.backward(mx.nd.array(weights_of(output.shape)))
    before = ours.arrays()
    gradients = step(ours, images)
    assert gradients.keys() == description.rates.keys()
    for name, gradient in gradients.items():
        parameter = network._collect_params_with_prefix()[name]
        # Single ReLUs may have an input of nearly 0.
        if trainable != "all":
            close(gradient, parameter.grad().asnumpy(), 1e-4)
    changed = {name for name, each in ours.arrays().items() if (each != before[name]).any()}
    assert changed == set(description.moving) - set(description.rates)
    for name in changed:
        expected = network._collect_params_with_prefix()[name].data().asnumpy()
        close(ours.named()[name].numpy(), expected, 1e-5, scale=1)


def test_statistics_do_not_move_in_evaluation() -> None:
    network, crop = random_network("resnet18_v2")
    ours = graph_network(describe(network, crop)).eval()
    before = ours.arrays()
    ours(torch.from_numpy(random_images(crop)))
    assert all((each == before[name]).all() for name, each in ours.arrays().items())


def test_statistics_recover_from_a_batch_that_is_not_finite() -> None:
    network, crop = random_network("resnet18_v1b")
    ours = graph_network(describe(network, crop)).train()
    good, bad = ours.arrays(), random_images(crop)
    bad[0, 0, 0, 0] = np.inf
    ours(torch.from_numpy(bad))
    ours.update_statistics(bad.shape)
    assert not all(np.isfinite(each).all() for each in ours.arrays().values())
    ours.set_arrays(good)
    images = random_images(crop)
    ours(torch.from_numpy(images))
    ours.update_statistics(images.shape)
    assert all(np.isfinite(each).all() for each in ours.arrays().values())


# The first keeps its layers in itself, the output layer of the others is a convolution.
@pytest.mark.parametrize("name", ["resnet18_v1b", "mobilenetv2_0.25", "resnet18_v2"])
def test_backbone_and_output_layer_make_the_network(name: str) -> None:
    network, crop = frozen_network(name, "head")
    description = describe(network, crop)
    assert description.not_constant == ""
    assert description.features is not None
    assert description.features.shape == cut_backbone(network, crop).shape
    entry = description.features.entry
    images = torch.from_numpy(random_images(crop))
    whole = graph_network(description).eval()
    backbone = graph_network(description, end=entry).eval()
    head = graph_network(description, begin=entry).train()
    with torch.no_grad():
        features = backbone(images)
        torch.testing.assert_close(head(features), whole(images))
    assert features.shape == (2, *description.features.shape)
    assert set(head.named()) == set(description.output) == set(description.rates)
    assert set(backbone.named()) == set(description.parameters) - set(description.output)
    assert list(whole.named()) == list(description.parameters)
    head.update_statistics(features.shape)


def test_a_network_whose_output_layer_is_unknown() -> None:
    network = mx.gluon.nn.HybridSequential()
    network.add(mx.gluon.nn.Dense(4), mx.gluon.nn.Activation("sigmoid"))
    network.initialize()
    images = random_images(4)
    expected = network(mx.nd.array(images)).asnumpy()
    description = describe(network, 4)
    assert "the output layer of this network cannot be identified" in description.not_constant
    assert description.output == frozenset()
    actual = graph_network(description)(torch.from_numpy(images))
    np.testing.assert_allclose(actual.detach().numpy(), expected, atol=1e-6)


def test_arrays_go_to_another_network_and_back() -> None:
    network, crop = random_network("resnet18_v2")
    description = describe(network, crop)
    images = torch.from_numpy(random_images(crop))
    ours = graph_network(description).eval().to(memory_format=torch.channels_last)
    expected = ours(images)
    arrays = ours.arrays()
    assert list(arrays) == list(description.parameters)
    assert all(each.flags.c_contiguous for each in arrays.values())
    for name, each in description.parameters.items():
        np.testing.assert_array_equal(arrays[name], each)
    other = graph_network(description).eval()
    other.set_arrays({name: each * 0 for name, each in arrays.items()})
    assert not torch.allclose(other(images), expected)
    np.testing.assert_array_equal(description.parameters["output.bias"], arrays["output.bias"])
    other.set_arrays({**arrays, "another": np.zeros(3)})
    torch.testing.assert_close(other(images), expected)
    with pytest.raises(KeyError, match=r"output\.bias"):
        other.set_arrays({name: each for name, each in arrays.items() if name != "output.bias"})
    with pytest.raises(ValueError, match=r"output.bias has shape \(7,\), expected \(5,\)"):
        other.set_arrays({**arrays, "output.bias": np.zeros(7, np.float32)})


@pytest.mark.parametrize(("name", "count"), [("small_cnn", 10), ("mobilenetv2_0.25", 1)])
def test_compiled_code_has_no_breaks_and_the_same_statistics(name: str, count: int) -> None:
    network, crop = random_network(name)
    description = describe(network, crop)
    images = random_images(crop)
    compilations = []

    def backend(module, inputs):
        compilations.append(module)
        return torch._dynamo.lookup_backend("aot_eager")(module, inputs)

    # PyTorch compiles the same code at most eight times.
    for _ in range(count):
        plain, compiled = graph_network(description), graph_network(description)
        compiled.graph.compile(fullgraph=True, backend=backend)
        expected, actual = step(plain, images), step(compiled, images)
    assert len(compilations) == count
    for name, gradient in expected.items():
        close(actual[name], gradient, 1e-4, scale=1e-3)
    for name, each in plain.arrays().items():
        close(compiled.arrays()[name], each, 1e-6, scale=1)
    with torch.no_grad():
        inputs = torch.from_numpy(images)
        torch.testing.assert_close(compiled.eval()(inputs), plain.eval()(inputs))
    assert len(compilations) == count + 1
