"""The last feature map: that of the layer one expects, and no value is lost by splitting there."""

from __future__ import annotations

import numpy as np
import pytest

from fashionai.errors import ConfigError
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.catalogue import CATALOGUE
from fashionai.models.feature_maps import SplitGraph, split_at_last_map
from fashionai.models.graph import as_block, trace
from fashionai.models.zoo import build_network

mx = import_mxnet()

# By network: the side of the images, and the shape of the map.
MAPS = {
    "small_cnn": (32, (128, 8, 8)),
    # Its output layer is a convolution of a pooled map.
    "mobilenetv2_0.25": (64, (1280, 2, 2)),
    "resnet18_v2": (64, (512, 2, 2)),
    # At 32 pixels the last layers have a single pixel.
    "mobilenet0.25": (32, (128, 2, 2)),
    "convnext_atto": (64, (320, 2, 2)),
    # The classes are the channels of the map.
    "squeezenet1.1": (64, (5, 3, 3)),
    # The map is followed by hidden layers.
    "mobilenetv3_small": (64, (576, 2, 2)),
}


def split(name: str, crop: int) -> tuple[object, SplitGraph]:
    mx.random.seed(0)
    network = build_network(name, 5, crop)
    return network, split_at_last_map(trace(network), crop, name)


def check(name: str, crop: int) -> tuple[int, ...]:
    """The shape of the map of one image; both parts together have to compute the network."""
    network, parts = split(name, crop)
    images = mx.nd.array(np.random.default_rng(0).normal(size=(2, 3, crop, crop)))
    before, after = (as_block(each, [mx.cpu()]) for each in parts)
    features = before(images)
    np.testing.assert_allclose(
        after(features).asnumpy(), network(images).asnumpy(), rtol=1e-4, atol=1e-5
    )
    return features.shape[1:]


@pytest.mark.parametrize("name", list(MAPS))
def test_both_parts_together_compute_the_network(name: str) -> None:
    crop, shape = MAPS[name]
    assert check(name, crop) == shape


def test_transformers_have_none() -> None:
    with pytest.raises(ConfigError, match=r"^vit_tiny: has attention between patches"):
        split("vit_tiny", 32)


@pytest.mark.every_network
@pytest.mark.parametrize("network", CATALOGUE, ids=lambda network: network.name)
def test_every_convolutional_network_has_one(network: object) -> None:
    if network.name.startswith(("vit", "deit")):
        with pytest.raises(ConfigError, match="attention"):
            split(network.name, network.pixels)
    else:
        channels, height, width = check(network.name, network.pixels)
        assert channels > 4
        assert height == width > 1
