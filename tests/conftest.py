"""Small data sets of real file formats, and ways to run the command line."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from fashionai.cli import main
from tests.support.image_server import PUBLIC_ADDRESS, ImageServer, Network, serve

# Fixtures of finished runs, made once for all tests that use them.
pytest_plugins = ["tests.support.trained_runs"]

ROOT = Path(__file__).resolve().parent.parent

# Tests import ONNX Runtime by themselves, which would report that to its makers.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


@pytest.fixture(scope="session", autouse=True)
def weights_of_nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An empty cache of pretrained weights: what somebody has fetched must not decide tests."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("FASHIONAI_HOME", "MXNET_HOME"):
            patch.setenv(variable, str(tmp_path_factory.mktemp("home")))
        yield


def run_cli(*arguments: object, cwd: Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run ``python -m fashionai`` as a user would; returns the finished process."""
    return subprocess.run(
        [sys.executable, "-m", "fashionai", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


def fashionai(*arguments: object) -> object:
    """The exit code of a command run in this process, which spares the import of MXNet."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return stop.code
    return 0


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """While in this context the system takes so many bytes of a file, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def draw_image(class_index: int, rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A noisy image whose colour tells its class: easy to learn in seconds."""
    height, width = size
    hue = np.full((height, width), class_index * 28 % 180, np.uint8)
    rest = rng.integers(150, 256, (height, width, 2), dtype=np.uint8)
    return cv2.cvtColor(np.dstack([hue, rest]), cv2.COLOR_HSV2BGR)


def write_fashionai_data(
    folder: Path,
    task: str = "skirt_length_labels",
    classes: int = 6,
    per_class: int = 8,
    test_per_class: int = 2,
    seed: int = 0,
) -> Path:
    """A FashionAI tree: base with labels, rank with questions, and the answers."""
    rng = np.random.default_rng(seed)
    for name, labels, count in (
        ("base", "base/Annotations/label.csv", per_class),
        ("rank", "rank/Tests/question.csv", test_per_class),
    ):
        rows, answers = [], []
        for index in range(classes * count):
            truth = index % classes
            image = f"Images/{task}/{name}{seed}-{index:04d}.jpg"
            path = folder / name / image
            path.parent.mkdir(parents=True, exist_ok=True)
            height, width = rng.integers(40, 60, 2)
            cv2.imwrite(str(path), draw_image(truth, rng, (int(height), int(width))))
            label = "".join("y" if c == truth else "n" for c in range(classes))
            rows.append(f"{image},{task},{label if name == 'base' else ''}")
            answers.append(f"{image},{task},{label}")
        file = folder / labels
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "a", encoding="utf-8") as handle:
            handle.write("\n".join(rows) + "\n")
        if name == "rank":
            with open(folder / "answers.csv", "a", encoding="utf-8") as handle:
                handle.write("\n".join(answers) + "\n")
    return folder


@pytest.fixture
def fashionai_data(tmp_path: Path) -> Path:
    """A small tree of skirts: 48 training images, 12 to predict."""
    return write_fashionai_data(tmp_path / "data")


SMALL_CONFIG = """\
task: skirt
model: {name: small_cnn, pretrained: false}
data: {resize_short: 36, crop: 32}
epochs: 2
batch_size: 8
optimizer: {name: sgd, lr: 0.05, weight_decay: 1e-4}
schedule: {name: cosine}
"""


@pytest.fixture
def small_config(tmp_path: Path) -> Path:
    """A configuration that trains on the small tree in seconds."""
    path = tmp_path / "small.yaml"
    path.write_text(SMALL_CONFIG)
    return path


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
