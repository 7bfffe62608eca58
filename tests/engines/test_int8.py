"""Quantized networks from pixels: tables compared with MXNet's own operators and a formula."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fashionai.engines.gluon import load_network
from fashionai.engines.int8.engine import QuantizedForward, quantized_forward
from fashionai.engines.int8.files import load_quantized
from fashionai.errors import RunError
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.forward import Forward
from fashionai.models.graph import as_block
from fashionai.quantization import quantize
from fashionai.runs import Run
from tests.support.networks import disturb_normalisation, make_run
from tests.support.prepared_data import write_two_tasks
from tests.support.references import MEAN, STD

mx = import_mxnet()

COLUMNS = [slice(0, 6), slice(6, 12)]


@pytest.fixture
def quantized(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """A run of the network that the test names, with the mean and deviation MEAN and STD."""
    monkeypatch.chdir(tmp_path)
    return quantized_run(request.param, mean=list(MEAN), std=list(STD))


def quantized_run(network: str, **data: object) -> Run:
    write_two_tasks(Path())
    run = make_run(Path(), network, **data)
    disturb_normalisation(run.folder.best_parameters)
    quantize(run, images=8, max_loss=1)
    return run


def levels() -> np.ndarray:
    """An image that has every level of every channel once."""
    return np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)


def largest_input(engine: QuantizedForward) -> float:
    return float(engine.network.collect_params()["data_max"].data().asscalar())


@pytest.mark.parametrize("quantized", ["small_cnn", "mobilenetv2_0.25"], indirect=True)
@pytest.mark.parametrize("devices", [1, 2])
def test_after_the_quantized_input_the_network_is_the_same(quantized: Run, devices: int) -> None:
    """With the values of MXNet's own operator it computes the same as the whole graph, exactly."""
    contexts = [mx.cpu(number) for number in range(devices)]
    settings = (MEAN, STD), contexts, COLUMNS
    engine = quantized_forward(load_quantized(quantized), *settings)
    assert isinstance(engine, QuantizedForward)
    normalised = ((levels() / 255 - MEAN) / STD).transpose(0, 3, 1, 2)
    own, _, _ = mx.nd.contrib.quantize_v2(
        mx.nd.array(normalised), min_calib_range=-1, max_calib_range=largest_input(engine)
    )
    engine.table = own.asnumpy().reshape(3, 256)
    plain = Forward(as_block(load_quantized(quantized), contexts), MEAN, STD, contexts, COLUMNS)
    images = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    assert np.array_equal(engine.begin(images)(), plain.begin(images)())


@pytest.mark.parametrize("mean", [list(MEAN), [0.0] * 3])
def test_the_table_rounds_to_the_nearest_of_symmetric_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mean: list[float]
) -> None:
    """The values are unsigned when none is negative."""
    monkeypatch.chdir(tmp_path)
    run = quantized_run("small_cnn", mean=mean, std=list(STD))
    engine = quantized_forward(load_quantized(run), (mean, STD), [mx.cpu()], COLUMNS)
    assert isinstance(engine, QuantizedForward)
    (planes,) = engine.split(levels())
    steps = 127 if any(mean) else 255
    assert planes.dtype == (np.int8 if any(mean) else np.uint8)
    exact = (levels().reshape(-1, 3) / 255 - mean) / STD * steps / largest_input(engine)
    rounded = planes.asnumpy().reshape(3, -1).T
    assert np.abs(rounded - exact.clip(-steps, steps)).max() <= 0.5 + 1e-4
    plain = Forward(as_block(load_quantized(run), [mx.cpu()]), mean, STD, [mx.cpu()], COLUMNS)
    images = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    np.testing.assert_allclose(engine.begin(images)(), plain.begin(images)(), atol=0.02)


@pytest.mark.parametrize("quantized", ["resnet18_v2"], indirect=True)
def test_a_network_may_normalise_before_it_quantizes(quantized: Run) -> None:
    settings = (MEAN, STD), [mx.cpu()], COLUMNS
    engine = quantized_forward(load_quantized(quantized), *settings)
    assert isinstance(engine, QuantizedForward)
    plain = Forward(as_block(load_quantized(quantized), [mx.cpu()]), MEAN, STD, *settings[1:])
    images = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    np.testing.assert_allclose(engine.begin(images)(), plain.begin(images)(), atol=0.02)


@pytest.mark.parametrize(
    ("quantized", "steps"),
    [("efficientnet_lite0", 1), ("efficientnet_b0", 66)],
    indirect=["quantized"],
)
def test_all_convolutions_of_efficientnets_are_quantized(quantized: Run, steps: int) -> None:
    """With ReLU6 from the image to the output, with SiLU one by one: it stays in float32."""
    graph = load_quantized(quantized)
    nodes = json.loads(graph.symbol.tojson())["nodes"]
    convolutions = [node for node in nodes if node["op"] == "_sg_mkldnn_conv"]
    assert {node["attrs"].get("quantized") for node in convolutions} == {"true"}
    assert sum(node["op"] == "_contrib_quantize_v2" for node in nodes) == steps
    engine = quantized_forward(graph, (MEAN, STD), [mx.cpu()], COLUMNS)
    plain = Forward(load_network(quantized, [mx.cpu()]), MEAN, STD, [mx.cpu()], COLUMNS)
    images = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    np.testing.assert_allclose(engine.begin(images)(), plain.begin(images)(), atol=0.05)


def test_a_network_that_mxnet_cannot_quantize_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MXNet takes the output of GELU for unsigned and multiplies it as signed."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match=r"MXNet cannot quantize convnext_atto .*type"):
        quantized_run("convnext_atto")
