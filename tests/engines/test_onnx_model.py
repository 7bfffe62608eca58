"""Networks as ONNX models, compared with the plain networks and with NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from fashionai.engines.onnx_model import onnx_model, to_onnx
from fashionai.engines.pixel_graph import PixelNetwork
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.catalogue import CATALOGUE
from fashionai.models.graph import trace
from fashionai.models.zoo import build_network
from fashionai.runs import Run
from tests.support.networks import disturb_normalisation, make_run
from tests.support.references import MEAN, STD

mx = import_mxnet()

ERRORS_ONLY = 3


def open_session(file: Path, optimized: str = "") -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.intra_op_num_threads = 1
    options.optimized_model_filepath = optimized
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def stock_probabilities(network: str, parameters: Path, images: np.ndarray) -> np.ndarray:
    """Probabilities of two tasks with six classes each: the plain network, and softmax in NumPy."""
    block = build_network(network, 12, images.shape[1])
    block.load_parameters(str(parameters))
    pixels = ((images / 255 - MEAN) / STD).transpose(0, 3, 1, 2).astype(np.float32)
    powers = np.exp(block(mx.nd.array(pixels)).asnumpy().astype(np.float64))
    parts = [powers[:, :6], powers[:, 6:]]
    return np.concatenate([part / part.sum(axis=1, keepdims=True) for part in parts], axis=1)


def write_model(folder: Path, network: str) -> tuple[Run, Path]:
    """A run with disturbed statistics, and the file of its model."""
    run = make_run(folder, network)
    disturb_normalisation(run.folder.best_parameters)
    file = folder / "model.onnx"
    file.write_bytes(onnx_model(run))
    return run, file


def read_checked(file: Path) -> onnx.ModelProto:
    model = onnx.load(str(file))
    onnx.checker.check_model(model, full_check=True)
    return model


def assert_computes_the_stock_network(
    session: onnxruntime.InferenceSession, run: Run, network: str
) -> None:
    """For batches of several sizes."""
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    expected = stock_probabilities(network, run.folder.best_parameters, images)
    for count in (3, 1):
        (actual,) = session.run(["probabilities"], {"images": images[:count]})
        np.testing.assert_allclose(actual, expected[:count], atol=2e-6)


@pytest.mark.parametrize("network", ["convnext_atto", "vit_tiny"])
def test_the_model_computes_layer_normalisation_and_attention(tmp_path: Path, network: str) -> None:
    run, file = write_model(tmp_path, network)
    operators = [node.op_type for node in read_checked(file).graph.node]
    assert operators.count("LayerNormalization") == (17 if network == "convnext_atto" else 25)
    assert_computes_the_stock_network(open_session(file), run, network)


@pytest.mark.parametrize(
    "network",
    [
        *("resnet18_v1b", "cifar_resnet20_v2", "mobilenetv2_0.25", "densenet121", "small_cnn"),
        *("efficientnet_lite0", "efficientnetv2_b0"),
        *("resnest14", "resnest26"),
    ],
)
def test_the_model_computes_what_the_stock_network_does(tmp_path: Path, network: str) -> None:
    run, file = write_model(tmp_path, network)
    model = read_checked(file)
    assert [value.name for value in model.graph.input] == ["images"], "weights are constants"
    read = {name for node in model.graph.node for name in node.input}
    assert {constant.name for constant in model.graph.initializer} <= read
    session = open_session(file, str(tmp_path / "optimized.onnx"))
    assert_computes_the_stock_network(session, run, network)
    optimized = onnx.load(str(tmp_path / "optimized.onnx"))
    left = sum(node.op_type == "BatchNormalization" for node in optimized.graph.node)
    before = sum(node.op_type == "BatchNormalization" for node in model.graph.node)
    # No convolution precedes the normalisation of concatenated or added feature maps.
    some_stay = network in ("densenet121", "cifar_resnet20_v2")
    assert left <= (before * 0.6 if some_stay else 0) < before


@pytest.mark.every_network
@pytest.mark.parametrize("name", [network.name for network in CATALOGUE])
def test_every_network_can_be_converted(tmp_path: Path, name: str) -> None:
    side = 32 if name.startswith("cifar") else 299 if "inception" in name else 224
    network = build_network(name, 12, side)
    pixels = PixelNetwork(network, MEAN, STD, [slice(0, 6), slice(6, 12)])
    images = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), np.uint8)
    expected = pixels(mx.nd.array(images, dtype="uint8")).asnumpy()
    file = tmp_path / "model.onnx"
    file.write_bytes(to_onnx(trace(pixels), name, side))
    (actual,) = open_session(file).run(["probabilities"], {"images": images})
    np.testing.assert_allclose(actual, expected, atol=1e-5)
