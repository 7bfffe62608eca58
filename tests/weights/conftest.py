"""A cache of its own for every test, sources that do not answer unless a test says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from fashionai.conversion.convert import to_torch
from fashionai.weights import downloading
from tests.support.image_server import ImageServer
from tests.support.networks import make_parameters
from tests.support.weights import MEAN, MODEL, STD, serve_weights

NOBODY = "http://127.0.0.1:9/"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """FASHIONAI_HOME, empty."""
    for name in ("MXNET_GLUON_REPO", "HF_ENDPOINT", "FASHIONAI_TORCHVISION_URL"):
        monkeypatch.setenv(name, NOBODY)
    (tmp_path / "wheels").mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "mxnet"))
    monkeypatch.setenv("FASHIONAI_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(downloading, "FIRST_PAUSE_SECONDS", 0)
    return tmp_path / "home"


@pytest.fixture
def server() -> Iterator[ImageServer]:
    with serve_weights() as running:
        yield running


@pytest.fixture(scope="module")
def parameters() -> dict[str, np.ndarray]:
    """Parameters of a network that the hub publishes."""
    return make_parameters(MODEL, classes=3)


@pytest.fixture(scope="module")
def checkpoint(parameters: dict[str, np.ndarray]) -> bytes:
    """The same network as the hub has it."""
    return save(to_torch(MODEL, parameters, MEAN, STD).tensors)
