"""A cache of its own for every test, sources that do not answer unless a test says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.numpy import save

from fashionai.conversion.convert import to_torch
from fashionai.models.zoo import build_network
from fashionai.runtime import import_mxnet
from fashionai.weights import downloading
from tests.conftest import draw_image, fashionai
from tests.support.image_server import ImageServer
from tests.support.weights import serve_weights

mx = import_mxnet()

MODEL = "resnet18_v1b"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
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


def kept(home: Path) -> list[str]:
    """All files below the cache's folder but locks."""
    files = (path for path in (home / "weights").rglob("*") if path.is_file())
    return sorted(
        str(path.relative_to(home / "weights")) for path in files if path.suffix != ".lock"
    )


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What the command line says to something wrong: one line."""
    capsys.readouterr()
    assert fashionai("weights", *arguments) == 2
    output = capsys.readouterr().err
    assert output.startswith("Error: ")
    assert output.count("\n") == 1
    return output[len("Error: ") : -1]


def make_parameters(model: str, classes: int = 1000) -> dict[str, np.ndarray]:
    """Random parameters of a network, with statistics of normalisation that are not trivial."""
    mx.random.seed(1)
    rng = np.random.default_rng(1)
    # He's variance, arXiv:1502.01852: behind many layers with ReLU there is something left.
    network = build_network(model, classes, 224, init_magnitude=6)
    parameters = {
        name: value.data().asnumpy()
        for name, value in network._collect_params_with_prefix().items()
    }
    for name, value in parameters.items():
        if name.endswith("running_mean"):
            parameters[name] = rng.normal(0, 0.1, value.shape).astype(np.float32)
        if name.endswith(("running_var", "gamma")):
            parameters[name] = rng.uniform(0.5, 1.5, value.shape).astype(np.float32)
    return parameters


def write_parameters(file: Path, parameters: dict[str, np.ndarray]) -> Path:
    mx.nd.save(str(file), {name: mx.nd.array(value) for name, value in parameters.items()})
    return file


def write_skirts(folder: Path, per_class: int = 6) -> None:
    """A FashionAI tree of images of 32 x 32 pixels: to be seen as they are."""
    rng = np.random.default_rng(0)
    for part, table, count in (
        ("base", "base/Annotations/label.csv", per_class),
        ("rank", "rank/Tests/question.csv", 1),
    ):
        rows = []
        for index in range(6 * count):
            name = f"Images/skirt_length_labels/{index}.jpg"
            file = folder / part / name
            file.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(file), draw_image(index % 6, rng, (32, 32)))
            label = "".join("y" if index % 6 == place else "n" for place in range(6))
            rows.append(f"{name},skirt_length_labels,{label if part == 'base' else ''}\n")
        (folder / table).parent.mkdir(parents=True, exist_ok=True)
        (folder / table).write_text("".join(rows))
