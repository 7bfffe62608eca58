"""Descriptions of networks."""

from __future__ import annotations

import numpy as np

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.describe import describe
from fashionai.models.freezing import freeze
from fashionai.models.graph import trace
from fashionai.models.merging import OF_RELU
from tests.support.graphs import random_network

mx = import_mxnet()


def test_the_reason_why_features_are_not_constant_is_known() -> None:
    network, crop = random_network("resnet18_v1b")
    description = describe(network, crop)
    assert description.features is None
    assert "normalises with the statistics of each batch" in description.not_constant
    network, crop = random_network("mobilenetv3_small")
    freeze(network, "head", crop)
    assert "is random" in describe(network, crop).not_constant


def test_the_optimizers_order_and_factors_are_gluons() -> None:
    network, crop = random_network("small_cnn")
    numbered = mx.gluon.Trainer(network.collect_params(), "sgd")._params
    for index, parameter in enumerate(numbered):
        parameter.lr_mult, parameter.wd_mult = index + 1, index / 2
    description = describe(network, crop)
    named = network._collect_params_with_prefix()
    for index, parameter in enumerate(numbered):
        assert named[description.order[index]] is parameter
        if parameter.grad_req != "null":
            assert description.rates[description.order[index]] == index + 1
            assert description.decays[description.order[index]] == index / 2


def test_all_parameters_are_described_under_their_names() -> None:
    network, crop = random_network("cifar_resnet20_v2")
    description = describe(network, crop)
    named = network._collect_params_with_prefix()
    assert list(description.parameters) == list(named)
    assert set(description.variables.values()) == set(named)
    assert description.output == {"output.weight", "output.bias"}
    for name, parameter in named.items():
        assert description.parameters[name].dtype == np.float32
        np.testing.assert_array_equal(description.parameters[name], parameter.data().asnumpy())
    assert {node["op"] for node in description.nodes} >= {"null", "Convolution", "BatchNorm"}
    assert all(node["op"] != "Reshape" for node in description.nodes)


def test_clips_tell_that_they_stand_for_a_relu_to_pytorch_alone() -> None:
    network, crop = random_network("mobilenetv2_0.25")
    clips = [node for node in describe(network, crop).nodes if node["op"] == "clip"]
    assert len(clips) == 36
    assert all(node["attrs"][OF_RELU] == "True" for node in clips)
    assert OF_RELU not in trace(network).symbol.tojson()
