"""Descriptions of networks, and their files."""

from __future__ import annotations

import contextlib
import dataclasses
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fashionai.errors import WeightsError
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.describe import describe
from fashionai.models.description import NetworkDescription, load_description, save_description
from fashionai.models.freezing import freeze
from fashionai.models.graph import trace
from fashionai.models.merging import OF_RELU
from tests.support.graphs import random_network

mx = import_mxnet()


def description_of_a_frozen_network() -> NetworkDescription:
    network, crop = random_network("resnet18_v2")
    freeze(network, "head", crop)
    return describe(network, crop)


def assert_equal(actual: NetworkDescription, expected: NetworkDescription) -> None:
    for field in dataclasses.fields(NetworkDescription):
        if field.name != "parameters":
            assert getattr(actual, field.name) == getattr(expected, field.name), field.name
    assert list(actual.parameters) == list(expected.parameters)
    for name, values in expected.parameters.items():
        np.testing.assert_array_equal(actual.parameters[name], values)


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


def test_a_description_survives_its_file(tmp_path: Path) -> None:
    description = description_of_a_frozen_network()
    assert description.features is not None
    file = tmp_path / "deeper/network.npz"
    save_description(file, description)
    assert_equal(load_description(file), description)
    assert [path.name for path in file.parent.iterdir()] == ["network.npz"]
    network, crop = random_network("small_cnn")
    description = describe(network, crop)
    save_description(file, description)
    assert_equal(load_description(file), description)


def test_damaged_files_are_refused_or_read_as_they_were(tmp_path: Path) -> None:
    network, crop = random_network("small_cnn")
    description = describe(network, crop)
    file, damaged = tmp_path / "network.npz", tmp_path / "damaged.npz"
    save_description(file, description)
    content = file.read_bytes()
    rng = np.random.default_rng(0)
    positions = {0, 1, len(content) - 1, *rng.integers(0, len(content), 40)}
    for position in sorted(positions):
        damaged.write_bytes(content[:position])
        with pytest.raises(WeightsError, match="not a description of a network, or damaged"):
            load_description(damaged)
        changed = bytearray(content)
        changed[position] ^= 0x55
        damaged.write_bytes(bytes(changed))
        # Bytes that nothing reads, as the times of the members, may change.
        with contextlib.suppress(WeightsError):
            assert_equal(load_description(damaged), description)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such file"):
        load_description(tmp_path / "none.npz")
    with pytest.raises(WeightsError, match="not a description"):
        load_description(tmp_path)
    file = tmp_path / "other.npz"
    np.savez(file, features=np.zeros(3))
    with pytest.raises(WeightsError, match="not a description"):
        load_description(file)
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(WeightsError, match="not a description"):
        load_description(tmp_path / "array.npy")
    np.savez(file, description=np.array([{}], dtype=object))
    with pytest.raises(WeightsError, match="not a description"):
        load_description(file)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"version": 1', b'"version": 2'),
        (b'"logits": [', b'"logits": 1, "a": ['),
        (b'"nodes": [', b'"nodes": 3, "a": ['),
        (b"{", b"["),
    ],
)
def test_other_texts_are_refused(tmp_path: Path, old: bytes, new: bytes) -> None:
    network, crop = random_network("small_cnn")
    file = tmp_path / "network.npz"
    save_description(file, describe(network, crop))
    with np.load(file) as arrays:
        values = dict(arrays)
    text = values["description"].tobytes()
    assert old in text
    values["description"] = np.frombuffer(text.replace(old, new, 1), np.uint8)
    np.savez(file, **values)
    with pytest.raises(WeightsError, match="not a description"):
        load_description(file)


def test_descriptions_hold_no_pickle(tmp_path: Path) -> None:
    file = tmp_path / "network.npz"
    save_description(file, description_of_a_frozen_network())
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        for name in archive.namelist():
            with archive.open(name) as member:
                np.lib.format.read_array(member, allow_pickle=False)
