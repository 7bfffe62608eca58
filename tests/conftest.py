"""Fixtures that all tests share: an empty cache of weights, a small tree, a server."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.data_trees import write_fashionai_data
from tests.support.image_server import PUBLIC_ADDRESS, ImageServer, Network, serve

# Fixtures of prepared tasks and finished runs, made once for all tests that use them.
pytest_plugins = ["tests.support.cross_validations", "tests.support.trained_runs"]

# Tests import ONNX Runtime by themselves, which would report that to its makers.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# As in the processes that tests start, since results are compared bit for bit; and several
# processes of pytest share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell starts jobs in the background with Ctrl-C ignored, which programs hand on to theirs.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def weights_of_nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An empty cache of pretrained weights: what somebody has fetched must not decide tests."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("FASHIONAI_HOME", "MXNET_HOME"):
            patch.setenv(variable, str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture
def fashionai_data(tmp_path: Path) -> Path:
    """A small tree of skirts: 48 training images, 12 to predict."""
    return write_fashionai_data(tmp_path / "data")


@pytest.fixture
def server() -> Iterator[ImageServer]:
    with serve() as running:
        yield running


@pytest.fixture
def network(server: ImageServer, monkeypatch: pytest.MonkeyPatch) -> Network:
    network = Network(server)
    network.answers["covers.example"] = [[PUBLIC_ADDRESS]]
    network.install(monkeypatch)
    return network
