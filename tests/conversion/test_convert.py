"""Names, shapes and extra layers, against Gluon's networks and others written down here."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fashionai.conversion.convert import convert, to_torch
from fashionai.conversion.layouts.registry import LAYOUTS, layouts
from fashionai.conversion.names import expand
from fashionai.errors import WeightsError
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.zoo import build_network
from tests.conversion import naive_forward
from tests.support.graphs import measure_statistics
from tests.support.networks import (
    answers,
    parameters_of,
    shapes,
    stock_network,
    with_parameters,
)

mx = import_mxnet()

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ALL_LAYOUTS = [
    pytest.param(model, layout, id=f"{model}-{layout.library}")
    for model in LAYOUTS
    for layout in layouts(model)
]
SUFFIXES = {"gamma": "weight", "beta": "bias"}


def torch_tensors(model: str, layout, shapes, seed: int = 0) -> dict[str, np.ndarray]:
    """Random tensors with the names of a layout."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, shape in shapes.items():
        layer, _, suffix = name.rpartition(".")
        if name in layout.parameters:
            source = layout.parameters[name]
        elif layer in layout.layers:
            source = f"{layout.layers[layer]}.{SUFFIXES.get(suffix, suffix)}"
        else:
            continue
        if suffix in ("gamma", "running_var"):
            values = rng.uniform(0.5, 1.5, shape)
        else:
            fan = np.prod(shape[1:]) if suffix == "weight" else 25
            values = rng.normal(0, (2 / fan) ** 0.5, shape)
        tensors[source] = values.astype(np.float32)
    return tensors


def smaller(model: str) -> dict[str, tuple[int, ...]]:
    """The shapes of a network with at most 8 of everything: names do not depend on them."""
    return {name: tuple(min(size, 8) for size in shape) for name, shape in shapes(model).items()}


def test_patterns() -> None:
    assert expand("a{0..2}.{x,y.z}") == ["a0.x", "a0.y.z", "a1.x", "a1.y.z", "a2.x", "a2.y.z"]
    assert expand("plain") == ["plain"]


@pytest.mark.parametrize(("model", "layout"), ALL_LAYOUTS)
def test_every_tensor_is_used_once_and_comes_back(model: str, layout) -> None:
    """No two of Gluon's layers share a tensor, none goes without, and none is left."""
    names = [*layout.layers.values(), *layout.parameters.values()]
    assert None not in [*names, *layout.layers, *layout.parameters]
    assert len(set(names)) == len(names)
    tensors = torch_tensors(model, layout, smaller(model))
    parameters = convert(model, tensors, smaller(model))
    assert {name: value.shape for name, value in parameters.items()} == smaller(model)
    assert {value.dtype for value in parameters.values()} == {np.dtype(np.float32)}
    back = to_torch(model, parameters, MEAN, STD)
    first = layouts(model)[0]
    assert (back.library, back.network) == (first.library, first.network)
    assert {value.dtype for value in back.tensors.values()} == {np.dtype(np.float32)}
    np.testing.assert_allclose((back.mean, back.std), (MEAN, STD), rtol=1e-6)
    renamed = {layout.layers[layer]: name for layer, name in first.layers.items()}
    singles = {layout.parameters[name]: tensor for name, tensor in first.parameters.items()}

    def name_in_first(name: str) -> str:
        layer, _, suffix = name.rpartition(".")
        return singles.get(name) or f"{renamed[layer]}.{suffix}"

    if model == "mobilenetv2_1.0":
        assert not back.tensors.pop("classifier.1.bias").any()
    assert back.tensors.keys() == {name_in_first(name) for name in tensors}
    for name, tensor in tensors.items():
        found = back.tensors[name_in_first(name)]
        # What the offset of a ResNet v2 has passed through is rounded.
        np.testing.assert_allclose(found.reshape(tensor.shape), tensor, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("model", ["resnet18_v2", "resnet50_v2", "mobilenetv2_1.0"])
def test_outputs_of_networks_with_extra_layers(model: str) -> None:
    layout = layouts(model)[0]
    tensors = torch_tensors(model, layout, shapes(model))
    images = np.random.default_rng(1).uniform(-1, 1, (2, 3, 64, 64)).astype(np.float32)
    if model == "mobilenetv2_1.0":
        expected = naive_forward.mobilenet_v2(
            {**tensors, "classifier.1.bias": np.zeros(1000)}, images
        )
    else:
        expected = naive_forward.resnet_v2(tensors, images)
    found = answers(with_parameters(model, convert(model, tensors, shapes(model))), images)
    assert np.abs(expected[0] - expected[1]).max() > 0.05 * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


def pictures(side: int) -> np.ndarray:
    """Two images of patches that differ in size and colour."""
    rng = np.random.default_rng(1)
    sizes = (2, 5, side)
    patches = [rng.normal(size=(2, 3, size, size)) for size in sizes]
    repeats = [math.ceil(side / size) for size in sizes]
    whole = [
        patch.repeat(repeat, 2).repeat(repeat, 3)[:, :, :side, :side]
        for patch, repeat in zip(patches, repeats)
    ]
    return np.sum(whole, axis=0).astype(np.float32)


@pytest.mark.parametrize(
    ("model", "strides"),
    [
        ("efficientnet_b0", (1, 2, 2, 2, 1, 2, 1)),
        ("efficientnet_lite0", (1, 2, 2, 2, 1, 2, 1)),
        ("efficientnetv2_b0", (1, 2, 2, 2, 1, 2)),
    ],
)
def test_outputs_of_efficientnets_at_sides_that_are_padded_in_different_ways(
    model: str, strides: tuple[int, ...]
) -> None:
    """From 96 pixels all strides halve an even side; from 77 the sides are 39, 20, 10, 5 and 3."""
    network = build_network(model, 5, 96, init_magnitude=6)
    rng = np.random.default_rng(0)
    for name, parameter in network._collect_params_with_prefix().items():
        if name.endswith(("gamma", "beta", "bias")):
            low, high = (0.5, 1.5) if name.endswith("gamma") else (-0.5, 0.5)
            parameter.set_data(mx.nd.array(rng.uniform(low, high, parameter.shape)))
    measure_statistics(network, pictures(96))
    tensors = to_torch(model, parameters_of(network), MEAN, STD).tensors
    is_same = layouts(model)[0].rotated
    for side in (96, 77):
        images = pictures(side)
        expected = naive_forward.efficientnet(tensors, images, strides, is_same)
        assert np.abs(expected[0] - expected[1]).max() > 0.02 * np.abs(expected).max()
        found = answers(network, images)
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * np.abs(expected).max())
        if is_same:
            padded_alike = naive_forward.efficientnet(tensors, images, strides, False)
            assert np.abs(padded_alike - expected).max() > 1e-3 * np.abs(expected).max()


def trained(model: str) -> dict[str, np.ndarray]:
    """Converted parameters whose extra layers training has moved."""
    tensors = torch_tensors(model, layouts(model)[0], shapes(model))
    parameters = convert(model, tensors, shapes(model))
    rng = np.random.default_rng(2)
    for layer in ("features.0", "features.2"):
        parameters[f"{layer}.running_mean"] += rng.normal(0, 0.1, 3 if layer[-1] == "0" else 64)
        parameters[f"{layer}.running_var"] *= rng.uniform(0.8, 1.2)
    parameters["features.2.gamma"] *= rng.choice([-1.2, 0.8], 64)
    parameters["features.2.beta"] *= rng.uniform(0.9, 1.1, 64)
    return parameters


@pytest.mark.parametrize("model", ["resnet18_v2", "resnet50_v2"])
def test_trained_extra_layers_are_folded_into_their_neighbours(model: str) -> None:
    parameters = trained(model)
    pixels = np.random.default_rng(3).random((2, 3, 64, 64))

    def normalised(mean: object, std: object) -> np.ndarray:
        shape = (3, 1, 1)
        return ((pixels - np.reshape(mean, shape)) / np.reshape(std, shape)).astype(np.float32)

    expected = answers(with_parameters(model, parameters), normalised(MEAN, STD))
    back = to_torch(model, parameters, MEAN, STD)
    assert np.abs(np.subtract(back.mean, MEAN)).min() > 1e-3
    found = naive_forward.resnet_v2(back.tensors, normalised(back.mean, back.std))
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


def test_a_relu_that_clips_is_not_lost() -> None:
    parameters = trained("resnet18_v2")
    lowest = -np.abs(parameters["features.1.weight"]).sum(axis=(1, 2, 3)).max()
    parameters["features.2.beta"][7] = lowest / 10
    with pytest.raises(WeightsError) as caught:
        to_torch("resnet18_v2", parameters, MEAN, STD)
    assert str(caught.value).startswith(
        "timm's resnetv2_18 has no ReLU after its first convolution, and the ReLU of this network "
        "can clip: the input of channel 7 can be as low as -"
    )


def test_a_network_that_began_in_gluon_keeps_its_relu() -> None:
    network = stock_network("resnet18_v2")
    network.initialize(mx.init.Xavier())
    parameters = {
        name: parameter.data().asnumpy()
        for name, parameter in network._collect_params_with_prefix().items()
    }
    with pytest.raises(WeightsError, match="has no ReLU after its first convolution"):
        to_torch("resnet18_v2", parameters, MEAN, STD)


def test_an_expansion_that_was_trained_is_not_lost() -> None:
    model = "mobilenetv2_1.0"
    parameters = convert(
        model, torch_tensors(model, layouts(model)[0], smaller(model)), smaller(model)
    )
    parameters["features.3.out.1.running_var"][3] *= 1.01
    with pytest.raises(WeightsError) as caught:
        to_torch(model, parameters, MEAN, STD)
    assert str(caught.value) == (
        "torchvision's mobilenet_v2 has no expansion layer in its first block, and this network "
        "has a trained one: features.3.out.0 differs from the identity by 0.00496. Train with "
        "trainable=last-stage, which freezes this layer, or export to another format"
    )


def test_position_embeddings_keep_the_size_of_the_file() -> None:
    """Loading the parameters interpolates them, once."""
    model = "vit_tiny"
    tensors = torch_tensors(model, layouts(model)[0], shapes(model))
    tensors["pos_embed"] = np.random.default_rng(0).normal(size=(1, 577, 192)).astype(np.float32)
    parameters = convert(model, tensors, shapes(model))
    np.testing.assert_array_equal(parameters["features.0.positions"], tensors["pos_embed"])
    back = to_torch(model, parameters, MEAN, STD)
    np.testing.assert_array_equal(back.tensors["pos_embed"], tensors["pos_embed"])
    tensors["pos_embed"] = np.zeros((1, 577, 100), np.float32)
    assert refusal(tensors, model) == (
        "pos_embed has shape (1, 577, 100), expected (1, tokens, 192)"
    )
    del tensors["pos_embed"]
    assert refusal(tensors, model).startswith("pos_embed of vit_tiny_patch16_224 not found")


def test_parameters_that_are_no_weights_of_a_layer_are_missed() -> None:
    model = "deit3_small"
    parameters = convert(
        model, torch_tensors(model, layouts(model)[0], smaller(model)), smaller(model)
    )
    del parameters["features.3.mlp.project.scale"], parameters["features.0.class_token"]
    with pytest.raises(WeightsError) as caught:
        to_torch(model, parameters, MEAN, STD)
    assert str(caught.value) == (
        "features.0.class_token, features.3.mlp.project.scale of deit3_small not found"
    )


def squeezenet() -> dict[str, np.ndarray]:
    return torch_tensors("squeezenet1.1", layouts("squeezenet1.1")[0], shapes("squeezenet1.1"))


def refusal(tensors: dict[str, np.ndarray], model: str = "squeezenet1.1") -> str:
    with pytest.raises(WeightsError) as caught:
        convert(model, tensors, shapes(model))
    return str(caught.value)


def test_a_tensor_that_is_missing() -> None:
    tensors = squeezenet()
    del tensors["features.3.squeeze.bias"], tensors["features.0.weight"]
    assert refusal(tensors) == (
        "features.0.weight, features.3.squeeze.bias of squeezenet1_1 not found. "
        "Is the file for another network than squeezenet1.1?"
    )
    tensors = squeezenet()
    del tensors["classifier.1.bias"]
    assert refusal(tensors).startswith("classifier.1.bias of squeezenet1_1 not found")


def test_a_tensor_that_is_left_over() -> None:
    tensors = {
        **squeezenet(),
        "features.5.weight": np.zeros(3),
        "features.0.num_batches_tracked": 1,
    }
    assert refusal(tensors) == (
        "squeezenet1_1 has no features.5.weight. "
        "Is the file for another network than squeezenet1.1?"
    )


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("features.0.weight", (64, 3, 5, 5), "(64, 3, 3, 3)"),
        ("features.0.weight", (3, 64, 3, 3), "(64, 3, 3, 3)"),
        ("features.0.bias", (), "(64,)"),
        ("classifier.1.weight", (10, 256, 1, 1), "(classes, 512, 1, 1)"),
        ("features.3.squeeze.weight", (64, 16), "(16, 64, 1, 1)"),
    ],
)
def test_a_tensor_of_another_shape(name: str, shape: tuple[int, ...], expected: str) -> None:
    tensors = {**squeezenet(), name: np.zeros(shape)}
    assert refusal(tensors) == f"{name} has shape {shape}, expected {expected}"


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_a_tensor_that_is_not_finite(value: float) -> None:
    tensors = squeezenet()
    tensors["features.0.bias"] = np.full(64, value)
    assert refusal(tensors) == "features.0.bias contains values that are not finite"


def test_a_network_of_another_depth_or_without_counterpart() -> None:
    tensors = torch_tensors("resnet18_v1b", layouts("resnet18_v1b")[0], shapes("resnet18_v1b"))
    assert refusal(tensors, "resnet34_v1b").startswith("layer1.2.conv1.weight, ")
    with pytest.raises(WeightsError) as caught:
        layouts("resnet50_v1")
    assert str(caught.value) == (
        "resnet50_v1 has no counterpart of equal architecture in torchvision or timm. "
        "Did you mean 'resnet50_v1d'?"
    )


def test_classes_are_those_of_the_tensors_or_none() -> None:
    tensors = squeezenet()
    for name in ("classifier.1.weight", "classifier.1.bias"):
        tensors[name] = tensors[name][:5]
    parameters = convert("squeezenet1.1", tensors, shapes("squeezenet1.1"))
    assert parameters["output.0.weight"].shape == (5, 512, 1, 1)
    features = {name: value for name, value in tensors.items() if "classifier" not in name}
    parameters = convert("squeezenet1.1", features, shapes("squeezenet1.1"))
    assert shapes("squeezenet1.1").keys() - parameters.keys() == {
        "output.0.weight",
        "output.0.bias",
    }


def test_an_output_layer_whose_bias_gluon_cannot_hold_is_left_out() -> None:
    model = "mobilenetv2_1.0"
    tensors = torch_tensors(model, layouts(model)[0], smaller(model))
    tensors["classifier.1.bias"] = np.zeros(8, np.float32)
    assert "output.0.weight" in convert(model, tensors, smaller(model))
    tensors["classifier.1.bias"][3] = 0.1
    parameters = convert(model, tensors, smaller(model))
    assert smaller(model).keys() - parameters.keys() == {"output.0.weight"}


def test_names_that_densenets_once_had() -> None:
    model = "densenet121"
    tensors = torch_tensors(model, layouts(model)[0], smaller(model))
    old = {
        name.replace("norm1", "norm.1")
        .replace("norm2", "norm.2")
        .replace("conv1", "conv.1")
        .replace("conv2", "conv.2"): value
        for name, value in tensors.items()
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    new, found = (convert(model, names, smaller(model)) for names in (tensors, old))
    assert all(np.array_equal(new[name], found[name]) for name in new)


def test_back_from_parameters_of_another_network() -> None:
    model = "squeezenet1.1"
    parameters = convert(model, squeezenet(), shapes(model))
    with pytest.raises(WeightsError, match=r"^squeezenet1.1 has no extra.weight$"):
        to_torch(model, {**parameters, "extra.weight": np.zeros(3)}, MEAN, STD)
    del parameters["features.3.0.0.weight"]
    with pytest.raises(WeightsError, match=r"^features.3.0.0 of squeezenet1.1 has bias, expected"):
        to_torch(model, parameters, MEAN, STD)
    with pytest.raises(WeightsError, match=r"^features.0.gamma of resnet18_v2 not found$"):
        to_torch("resnet18_v2", parameters, MEAN, STD)
