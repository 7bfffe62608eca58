"""Which operators of a network compute in float16, and that its parameters stay what they are."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.freezing import freeze
from fashionai.models.mixed_precision import mixed_precision
from fashionai.models.zoo import build_network

mx = import_mxnet()

NETWORKS = ("small_cnn", "resnet18_v2", "mobilenetv2_1.0")


def operators(symbol: mx.sym.Symbol) -> list[tuple[dict, list[str]]]:
    """Every operator of a graph of float32 input with the types of its inputs, by inference."""
    inner = symbol.get_internals()
    _, types, _ = inner.infer_type(data="float32")
    names = [name.removesuffix("_output") for name in inner.list_outputs()]
    type_of = dict(zip(names, [np.dtype(each).name for each in types]))
    nodes = json.loads(symbol.tojson(remove_amp_cast=False))["nodes"]
    # Operators of several outputs list them as name_output0; none of these networks reads those.
    return [
        (node, [type_of.get(nodes[place]["name"], "") for place, _, _ in node["inputs"]])
        for node in nodes
        if node["op"] != "null"
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_products_are_float16_and_batch_normalisation_keeps_float32(name: str) -> None:
    network = build_network(name, 3, 32)
    block = mixed_precision(network)
    output = block(mx.sym.var("data"))
    found = operators(output)
    products = [types for node, types in found if node["op"] in ("Convolution", "FullyConnected")]
    assert len(products) > 2
    assert {each for types in products for each in types} == {"float16"}
    normalised = [types for node, types in found if node["op"] == "BatchNorm"]
    # After the input: the maps come from convolutions; gamma, beta, mean and variance do not.
    assert {each for types in normalised for each in types[1:]} == {"float32"}
    assert [types[0] for types in normalised][-1] == "float16"
    assert output.infer_type(data="float32")[1] == [np.float32]


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_are_those_of_the_network_in_float32(name: str) -> None:
    network = build_network(name, 3, 32)
    own = network.collect_params()
    shared = mixed_precision(network).collect_params()
    assert set(shared) == set(own)
    assert all(shared[key] is own[key] for key in own)
    assert {np.dtype(parameter.dtype).name for parameter in own.values()} == {"float32"}


def test_the_network_itself_and_others_of_the_process_stay_float32() -> None:
    network = build_network("small_cnn", 3, 32)
    images = mx.nd.random.uniform(shape=(2, 3, 32, 32))
    before = network(images).asnumpy()
    block = mixed_precision(network)
    assert network(images).asnumpy().tobytes() == before.tobytes()
    assert "amp_cast" in block(mx.sym.var("data")).tojson(remove_amp_cast=False)
    for each in (network, build_network("small_cnn", 3, 32)):
        assert "amp_cast" not in each(mx.sym.var("data")).tojson(remove_amp_cast=False)


def test_frozen_layers_stay_frozen() -> None:
    network = build_network("small_cnn", 3, 32)
    freeze(network, "head", 32)
    found = operators(mixed_precision(network)(mx.sym.var("data")))
    frozen = [node["attrs"]["use_global_stats"] for node, _ in found if node["op"] == "BatchNorm"]
    assert frozen == ["True"] * 6
