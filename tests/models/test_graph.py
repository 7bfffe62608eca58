"""Traced, fused and saved graphs against the networks that they come from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fashionai.errors import RunError
from fashionai.files.formats.array_lists import write_array_list
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.graph import as_block, fuse, load_graph, save_graph, trace
from fashionai.models.zoo import build_network
from tests.support.commands import files_of_at_most

mx = import_mxnet()

# CIFAR's ResNet v2 adds the answer of its first convolution to what comes of normalising it.
NETWORKS = [
    *("cifar_resnet20_v2", "mobilenetv2_0.25", "squeezenet1.1"),
    *("efficientnet_b0", "efficientnet_lite0"),
]


def network_and_images(name: str) -> tuple[Any, Any]:
    """A network none of whose parameters can be left out or confused unnoticed."""
    mx.random.seed(0)
    network = build_network(name, 5, 32)
    rng = np.random.default_rng(0)
    for key, parameter in network.collect_params().items():
        if key.endswith(("gamma", "running_var")):
            parameter.set_data(mx.nd.array(rng.uniform(0.5, 1.5, parameter.shape)))
        elif key.endswith(("beta", "bias", "running_mean")):
            parameter.set_data(mx.nd.array(rng.normal(0, 0.2, parameter.shape)))
    return network, mx.nd.array(rng.normal(size=(3, 3, 32, 32)))


@pytest.mark.parametrize("name", NETWORKS)
def test_graphs_compute_what_their_network_does(tmp_path: Path, name: str) -> None:
    network, images = network_and_images(name)
    expected = network(images).asnumpy()
    graph = trace(network)
    files = tmp_path / "symbol.json", tmp_path / "weights.params"
    save_graph(graph, *files)
    for each in (graph, fuse(graph), load_graph(*files)):
        actual = as_block(each, [mx.cpu()])(images).asnumpy()
        np.testing.assert_allclose(actual, expected, atol=2e-6 * np.abs(expected).max())


def test_a_disk_that_refuses_is_named(tmp_path: Path) -> None:
    graph = trace(build_network("small_cnn", 3, 32))
    with pytest.raises(RunError, match=f"^{re.escape(str(tmp_path))}/none: cannot be written"):
        save_graph(graph, tmp_path / "none/symbol.json", tmp_path / "none/parameters")


@pytest.mark.parametrize("missing", [1, 4000, 5000])
def test_a_file_whose_end_is_lost_is_an_error(tmp_path: Path, missing: int) -> None:
    file = tmp_path / "a.params"
    arrays = {"first": np.ones(3000, np.float32), "second": np.zeros(7, np.float32)}
    write_array_list(file, arrays)
    read = mx.nd.load(str(file))
    assert {name: value.shape for name, value in read.items()} == {"first": (3000,), "second": (7,)}
    with (
        files_of_at_most(file.stat().st_size - missing),
        pytest.raises(OSError, match="File too large"),
    ):
        write_array_list(file, arrays)
