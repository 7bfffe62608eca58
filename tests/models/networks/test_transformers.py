"""ConvNeXt, ViT and DeiT3 against their formulas, and what is trained of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fashionai.conversion.positions import resize_positions
from fashionai.errors import ConfigError, WeightsError
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.freezing import freeze
from fashionai.models.networks.convnext import ConvNeXtBlock
from fashionai.models.networks.registry import NETWORKS
from fashionai.models.zoo import build_network, load_parameters
from tests.support.transformers import (
    SMALL,
    convnext_logits,
    parameters_of,
    small_network,
    transformer_logits,
)

mx = import_mxnet()


def random_images(crop: int, count: int = 3) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, 3, crop, crop)).astype(np.float32)


@pytest.mark.parametrize("hybridized", [False, True])
@pytest.mark.parametrize("name", SMALL)
def test_logits_are_those_of_the_formula(name: str, hybridized: bool) -> None:
    network, images = small_network(name), random_images(64)
    network.hybridize(active=hybridized)
    formula = convnext_logits if name == "small_convnext" else transformer_logits
    expected = formula(parameters_of(network), images.astype(np.float64))
    assert np.abs(expected[0] - expected[1]).max() > 0.05 * np.abs(expected).max()
    found = network(mx.nd.array(images)).asnumpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_a_fresh_block_of_convnext_changes_little() -> None:
    """Its layer scale begins with 1e-6."""
    block = ConvNeXtBlock(8, 0.0)
    block.initialize(mx.init.Xavier())
    x = mx.nd.random.normal(shape=(2, 8, 5, 5))
    difference = (block(x) - x).abs().max().asscalar()
    assert 0 < difference < 1e-4


@pytest.mark.parametrize("name", SMALL)
def test_branches_are_left_out_in_training_alone(name: str) -> None:
    images = mx.nd.array(random_images(64))
    plain, dropping = small_network(name), small_network(name, drop_path=0.9)
    expected = plain(images).asnumpy()
    np.testing.assert_array_equal(dropping(images).asnumpy(), expected)
    mx.random.seed(0)
    with mx.autograd.record():
        trained = dropping(images).asnumpy()
    assert np.abs(trained - expected).max() > 1e-2


@pytest.mark.parametrize(
    ("name", "trained"),
    [
        ("convnext_atto", {"4", "7"}),  # the fourth stage and the normalisation after pooling
        ("vit_tiny", {"9", "10", "11", "12", "14"}),  # the last 4 of 12 blocks
        ("deit3_small", {"9", "10", "11", "12", "14"}),
    ],
)
def test_the_last_stage(name: str, trained: set[str]) -> None:
    network = build_network(name, 4, 64)
    freeze(network, "last-stage", 64)
    parameters = network._collect_params_with_prefix()
    found = {key for key, parameter in parameters.items() if parameter.grad_req != "null"}
    assert {key.split(".")[1] for key in found if key.startswith("features")} == trained
    assert {"output.weight", "output.bias"} < found


def test_a_crop_that_is_not_made_of_patches_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        build_network("vit_tiny", 4, 40)
    assert str(caught.value).startswith(
        "model.name: vit_tiny cannot take images of data.crop 40 pixels (expected a multiple of 16)"
    )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["small_vit", "small_deit3"])
@pytest.mark.parametrize("crop", [32, 96])
def test_weights_of_one_size_compute_images_of_another(
    name: str, crop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NETWORKS, name, SMALL[name])
    trained, file = small_network(name), tmp_path / "trained.params"
    trained.save_parameters(str(file))
    content = file.read_bytes()
    images = random_images(crop)
    values = parameters_of(trained)
    tokens = (crop // 16) ** 2 + (name == "small_vit")
    values["features.0.positions"] = resize_positions(values["features.0.positions"], tokens)
    expected = transformer_logits(values, images.astype(np.float64))
    pretrained = build_network(name, 5, crop, file)
    loaded = build_network(name, 5, crop)
    load_parameters(loaded, file, [mx.cpu()])
    for network in (pretrained, loaded):
        found = network(mx.nd.array(images)).asnumpy()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert file.read_bytes() == content


def test_positions_of_another_family_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NETWORKS, "small_vit", SMALL["small_vit"])
    network, file = small_network("small_vit"), tmp_path / "wrong.params"
    wrong = dict(mx.nd.load(str(_saved(network, file))))
    wrong["features.0.positions"] = mx.nd.zeros((1, 16, 128))
    mx.nd.save(str(file), wrong)
    with pytest.raises(WeightsError) as caught:
        load_parameters(network, file, [mx.cpu()])
    assert str(caught.value) == (
        f"{file}: features.0.positions: a position embedding of 16 tokens does not fit 17 tokens. "
        "Is the file for another network?"
    )


def _saved(network, file: Path) -> Path:
    network.save_parameters(str(file))
    return file


@pytest.mark.parametrize("name", SMALL)
def test_pointwise_layers_have_their_channels_last(name: str) -> None:
    """MXNet normalises other axes twenty times as slowly on the CPU."""
    nodes = json.loads(small_network(name)(mx.sym.var("data")).tojson())["nodes"]
    axes = {node["attrs"].get("axis") for node in nodes if node["op"] == "LayerNorm"}
    assert axes == {"-1"}
