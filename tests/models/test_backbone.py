"""What is in front of the output layer, and when it is no constant vector."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.backbone import NotConstantError, cut_backbone
from fashionai.models.freezing import freeze, moving_parameters
from fashionai.models.zoo import build_network

mx = import_mxnet()
nn = mx.gluon.nn

CROP = 64


def frozen(name: str):
    network = build_network(name, 4, CROP)
    freeze(network, "head", CROP)
    return network


@pytest.mark.parametrize(
    ("name", "shape"),
    # The second keeps its layers in itself, the third's output layer is a convolution.
    [
        ("resnet18_v2", (512,)),
        ("resnet18_v1b", (512,)),
        ("mobilenetv2_0.25", (1280, 1, 1)),
        ("efficientnetv2_b0", (1280,)),
    ],
)
def test_the_output_layer_makes_the_networks_logits_of_features(
    name: str, shape: tuple[int, ...]
) -> None:
    network = frozen(name)
    expected_modes = {n: p.grad_req for n, p in network.collect_params().items()}
    backbone = cut_backbone(network, CROP)
    assert backbone.shape == shape
    images = mx.nd.array(np.random.default_rng(0).normal(size=(3, 3, CROP, CROP)))
    features = backbone.block(images)
    assert features.shape == (3, *shape)
    with mx.autograd.record():
        logits = network(images)
    np.testing.assert_allclose(
        backbone.output(features).asnumpy(), logits.asnumpy(), rtol=1e-5, atol=1e-6
    )
    assert {n: p.grad_req for n, p in network.collect_params().items()} == expected_modes


def test_it_computes_with_the_weights_that_the_network_has_now() -> None:
    network = frozen("resnet18_v1b")
    block = cut_backbone(network, CROP).block
    images = mx.nd.array(np.random.default_rng(0).normal(size=(2, 3, CROP, CROP)))
    before = block(images).asnumpy()
    first = next(iter(network.collect_params().values()))
    first.set_data(first.data() * 3)
    assert not np.allclose(block(images).asnumpy(), before)


class AskedTwice(mx.gluon.HybridBlock):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        with self.name_scope():
            self.features = nn.HybridSequential()
            self.features.add(nn.GlobalAvgPool2D())
            self.output = nn.Dense(4, in_units=3)

    def hybrid_forward(self, F, x):  # noqa: N803
        return self.output(self.features(x)) + self.output(self.features(-x))


def layers(*front):
    network = nn.HybridSequential()
    network.add(*front, nn.Dense(4))
    network.initialize()
    network(mx.nd.zeros((1, 3, CROP, CROP)))
    return network


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: frozen("mobilenetv3_small"), "dropout0_fwd, before the output layer, is random"),
        (lambda: frozen("squeezenet1.1"), "dropout0_fwd, before the output layer, is random"),
        (lambda: build_network("small_cnn", 4, CROP), "normalises with the statistics of each"),
        (lambda: layers(nn.Conv2D(2, 3), nn.GlobalAvgPool2D()), "conv.*_weight, .* is trained as"),
        (lambda: layers(nn.AvgPool2D(16)), "3 x 4 x 4 values per image, expected one vector"),
        (lambda: AskedTwice(), "its logits are not the result of one call of its output layer"),
    ],
)
def test_what_is_no_constant_vector_is_refused(make, reason: str) -> None:
    # Gluon numbers layers over the whole process: here it begins anew, whatever ran before.
    with mx.name.NameManager():
        network = make()
    with pytest.raises(NotConstantError, match=f".*{reason}"):
        cut_backbone(network, CROP)


def test_dropout_that_drops_nothing_is_constant() -> None:
    assert cut_backbone(layers(nn.GlobalAvgPool2D(), nn.Dropout(0.0)), CROP).shape == (3, 1, 1)


def test_parameters_that_move_are_those_that_learn_and_their_statistics() -> None:
    network = build_network("resnet18_v2", 4, CROP)
    everything = set(network._collect_params_with_prefix())
    # The first normalisation, of the input, uses stored statistics and has no scale of its own.
    first = {f"features.0.{name}" for name in ("gamma", "beta", "running_mean", "running_var")}
    assert set(moving_parameters(network)) == everything - first
    freeze(network, "last-stage", CROP)
    moving = {re.sub(r"(features\.\d+|output).*", r"\1", n) for n in moving_parameters(network)}
    assert moving == {"features.8", "features.9", "output"}
    assert "features.9.running_mean" in moving_parameters(network)
    freeze(network, "head", CROP)
    assert set(moving_parameters(network)) == {"output.weight", "output.bias"}
