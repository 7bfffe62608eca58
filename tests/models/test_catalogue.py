"""The table of networks against the networks themselves and against published pages."""

from __future__ import annotations

import json
import math
import re

import pytest

from fashionai.errors import ConfigError
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.catalogue import CATALOGUE, find_networks
from fashionai.models.networks import convnext, vit
from fashionai.models.networks.options import NetworkOptions
from fashionai.models.networks.registry import NETWORKS
from fashionai.models.zoo import _stock_network, network_names
from fashionai.weights.sources import zoo_hashes

mx = import_mxnet()

BY_NAME = {network.name: network for network in CATALOGUE}
CLASSES = {"small_cnn": 10, "cifar_resnet20_v2": 10}
# What the table leaves out: networks for videos, int8 copies, and those that cannot be built or
# have no graph in this version of the zoo.
LEFT_OUT = re.compile(r"kinetics|sthsth|ucf101|hmdb51|_int8$|_custom$|101e_64x4d$|_gn$")


def count(name: str) -> tuple[int, int]:
    """Parameters, and multiply-accumulates by the shapes of the operators of the graph."""
    pixels = BY_NAME[name].pixels
    network = _stock_network(name, NetworkOptions(CLASSES.get(name, 1000), pixels))
    graph = network(mx.sym.var("data"))
    images = {"data": (1, 3, pixels, pixels)}
    arguments, _, statistics = graph.infer_shape(**images)
    shapes = dict(zip(graph.list_arguments(), arguments))
    del shapes["data"]
    parameters = sum(map(math.prod, [*shapes.values(), *statistics]))
    inner = graph.get_internals()
    _, outputs, _ = inner.infer_shape(**images)
    by_name = dict(zip(inner.list_outputs(), outputs))
    nodes = json.loads(graph.tojson())["nodes"]

    def shape(index: int) -> tuple[int, ...]:
        name, operator = nodes[index]["name"], nodes[index]["op"]
        return by_name[name if operator == "null" else f"{name}_output"]

    operations = 0
    for index, node in enumerate(nodes):
        if node["op"] in ("Convolution", "FullyConnected"):
            operations += math.prod(shape(index)) * math.prod(shape(node["inputs"][1][0])[1:])
        elif node["op"] == "batch_dot":
            first = shape(node["inputs"][0][0])
            attributes = node.get("attrs", {})
            summed = first[1] if attributes.get("transpose_a") == "True" else first[2]
            operations += math.prod(shape(index)) * summed
    return parameters, operations


@pytest.mark.parametrize(
    "name",
    [
        *("small_cnn", "cifar_resnet20_v2", "mobilenet0.25", "mobilenetv3_small"),
        *("squeezenet1.1", "shufflenet_v1", "resnet18_v2", "se_resnet18_v1"),
        *("efficientnet_b0", "efficientnet_lite1", "efficientnetv2_b0"),
        *convnext.SIZES,
        *vit.SIZES,
    ],
)
def test_cost_is_that_of_the_network(name: str) -> None:
    network = BY_NAME[name]
    assert count(name) == (network.parameters, network.operations)


def test_cost_of_the_tutorials_networks_follows_from_their_layers() -> None:
    """By hand: sides of 54, 26, 22 and 10 pixels, and of 196, 90, 71 and 32."""
    logos = 54**2 * 96 * 11**2 * 3 + 22**2 * 192 * 5**2 * 96 + 19200 * 4096 + 4096 * 33
    lenet = 196**2 * 6 * 45**2 * 3 + 71**2 * 9 * 20**2 * 6 + 9216 * 544 + 544 * 68 + 68 * 2
    assert BY_NAME["logos_cnn"].operations == logos
    assert BY_NAME["covers_lenet"].operations == lenet


@pytest.mark.parametrize(
    ("name", "parameters", "top1"),
    [  # MXNet's page "Gluon Model Zoo"
        ("alexnet", 61_100_840, 0.5492),
        ("densenet161", 28_900_936, 0.7770),
        ("inceptionv3", 23_869_000, 0.7755),
        ("mobilenetv2_1.0", 3_539_136, 0.7192),
        ("resnet152_v1", 60_404_072, 0.7900),
        ("resnet50_v2", 25_595_060, 0.7711),
        ("squeezenet1.0", 1_248_424, 0.5611),
        ("vgg19_bn", 143_689_256, 0.7433),
    ],
)
def test_figures_are_those_published(name: str, parameters: int, top1: float) -> None:
    assert (BY_NAME[name].parameters, BY_NAME[name].top1) == (parameters, top1)


def test_resnet50_costs_what_its_paper_says() -> None:
    """Table 1 of arXiv:1512.03385: 3.8, 7.6 and 11.3 * 10^9 operations with 50, 101, 152 layers."""
    for name, billions in (("resnet50_v1", 3.8), ("resnet101_v1", 7.6), ("resnet152_v1", 11.3)):
        assert BY_NAME[name].operations / 1e9 == pytest.approx(billions, abs=0.06)


def test_figures_of_todays_networks_are_those_of_their_papers() -> None:
    """ConvNeXt's table 1, arXiv:2201.03545; DeiT's tables 1 and 5, arXiv:2012.12877."""
    for name, millions, billions in (
        ("convnext_tiny", 29, 4.5),
        ("convnext_small", 50, 8.7),
        ("convnext_base", 89, 15.4),
    ):
        assert round(BY_NAME[name].parameters / 1e6) == millions
        assert BY_NAME[name].operations / 1e9 == pytest.approx(billions, abs=0.06)
    for name, millions in (("vit_tiny", 5.7), ("vit_small", 22.1), ("vit_base", 86.6)):
        assert round(BY_NAME[name].parameters / 1e6, 1) == millions


def test_cost_of_a_vision_transformer_follows_from_its_layers() -> None:
    """By hand: 197 tokens of 192 channels, 12 blocks of four dense layers and two products."""
    tokens, channels = 197, 192
    block = tokens * 12 * channels**2 + 2 * tokens**2 * channels
    patches = 196 * 16**2 * 3 * channels
    assert BY_NAME["vit_tiny"].operations == patches + 12 * block + channels * 1000


def test_every_network_is_listed_once() -> None:
    assert len(BY_NAME) == len(CATALOGUE)
    assert BY_NAME.keys() <= set(network_names())
    assert not [n for n in set(network_names()) - BY_NAME.keys() if not LEFT_OUT.search(n)]
    assert NETWORKS.keys() <= BY_NAME.keys()


def test_weights_are_those_that_are_downloaded() -> None:
    """The first zoo that has a network's weights supplies them."""
    published: dict[str, str] = {}
    for table in reversed(list(zoo_hashes())):
        published.update(table)
    for network in CATALOGUE:
        assert network.weights == published.get(network.name, "")[:8], network.name
        assert network.weights or network.top1 is None


def test_names_are_exact_or_the_beginning_of_several() -> None:
    assert [
        network.name for network in find_networks(["resnet50_v1", "covers", "covers_lenet"])
    ] == [
        "resnet50_v1",
        "covers_alexnet",
        "covers_lenet",
    ]
    assert find_networks() == list(CATALOGUE)
    for name in ("resnet50v2", ""):
        with pytest.raises(ConfigError):
            find_networks([name])
