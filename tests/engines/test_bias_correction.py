"""Bias correction: channel means in whole quantized graphs against those of the exact network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fashionai.engines.gluon import load_network
from fashionai.engines.int8.bias_correction import correct_biases
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.graph import Graph, trace
from tests.support.networks import disturb_normalisation, make_run
from tests.support.prepared_data import write_two_tasks
from tests.support.quantized_graphs import fused, output_of, quantized_by_mxnet

mx = import_mxnet()


@pytest.fixture
def traced(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Graph:
    """The graph of the network that the test names, with random parameters."""
    monkeypatch.chdir(tmp_path)
    write_two_tasks(Path())
    run = make_run(Path(), request.param)
    disturb_normalisation(run.folder.best_parameters)
    return trace(load_network(run, [mx.cpu()]))


def some_images() -> Any:
    return mx.nd.array(np.random.default_rng(0).normal(0, 1, (16, 3, 64, 64)), dtype="float32")


def convolutions(graph: Graph) -> list[str]:
    nodes = json.loads(graph.symbol.tojson())["nodes"]
    return [node["name"] for node in nodes if node["op"] == "_sg_mkldnn_conv"]


def shift(exact: Graph, quantized: Graph, name: str, images: Any) -> float:
    """How far the means of channels are off, as a share of what the exact values deviate by."""
    values = output_of(exact, name, images)
    errors = (output_of(quantized, f"quantized_{name}", images) - values).mean(axis=(0, 2, 3))
    return float(np.sqrt(np.mean(errors**2)) / values.std())


@pytest.mark.parametrize("traced", ["small_cnn"], indirect=True)
def test_every_layer_keeps_the_means_of_its_channels(traced: Graph) -> None:
    exact, images = fused(traced), some_images()
    quantized = quantized_by_mxnet(traced, images)
    corrected = correct_biases(exact, quantized, [images[:8], images[8:]])
    names = convolutions(exact)
    before = [shift(exact, quantized, name, images) for name in names]
    after = [shift(exact, corrected, name, images) for name in names]
    assert len(names) == 6
    assert min(before) > 1e-3
    assert max(after) < 2e-4


@pytest.mark.parametrize("traced", ["mobilenetv2_0.25"], indirect=True)
def test_channels_that_an_activation_cuts_off_do_not_get_worse(traced: Graph) -> None:
    exact, images = fused(traced), some_images()
    quantized = quantized_by_mxnet(traced, images)
    corrected = correct_biases(exact, quantized, [images])
    names = convolutions(exact)[:-1]  # the last one is the output layer, which has no bias
    before = [shift(exact, quantized, name, images) for name in names]
    after = [shift(exact, corrected, name, images) for name in names]
    assert sum(after) < 0.5 * sum(before)
    assert max(after) < max(before)


@pytest.mark.parametrize("traced", ["resnet18_v1", "resnet18_v2"], indirect=True)
def test_only_biases_change(traced: Graph) -> None:
    """Of convolutions and of batch normalisation, which may come before a convolution."""
    images = some_images()
    quantized = quantized_by_mxnet(traced, images)
    corrected = correct_biases(fused(traced), quantized, [images])
    assert corrected.symbol.tojson() == quantized.symbol.tojson()
    changed = {
        name
        for name, value in {**quantized.arguments, **quantized.statistics}.items()
        if not np.array_equal(
            value.asnumpy(), {**corrected.arguments, **corrected.statistics}[name].asnumpy()
        )
    }
    assert changed
    assert {name.rpartition("_")[2] for name in changed} <= {"beta", "bias"}
