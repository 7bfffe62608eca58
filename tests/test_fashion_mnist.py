"""Real images: the way from Debian's Fashion-MNIST files to a score, shortened to a minute.

Needs Debian's package dataset-fashion-mnist, and so is left out unless asked for:
pytest -m fashion_mnist.
"""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from tests.support.commands import ROOT, run_cli

REAL = Path("/usr/share/datasets/fashion-mnist")
TRAIN_IMAGES, TEST_IMAGES = 8000, 1000


def shorten(source: Path, target: Path, count: int) -> None:
    """Write the first ``count`` items of an idx file."""
    data = gzip.decompress(source.read_bytes())
    dimensions = data[3]
    shape = struct.unpack(f">{dimensions}I", data[4 : 4 + 4 * dimensions])
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape)[:count]
    target.write_bytes(data[:4] + struct.pack(f">{dimensions}I", *values.shape) + values.tobytes())


@pytest.mark.fashion_mnist
def test_fashion_mnist_reaches_080_after_a_minute_of_training(tmp_path: Path) -> None:
    data = tmp_path / "idx"
    data.mkdir()
    for name, count in (("train", TRAIN_IMAGES), ("t10k", TEST_IMAGES)):
        for kind in ("images-idx3", "labels-idx1"):
            shorten(REAL / f"{name}-{kind}-ubyte.gz", data / f"{name}-{kind}-ubyte", count)
    steps = (
        ["prepare", "--task", "fashion-mnist", "--data", data],
        ["train", "--config", ROOT / "configs/fashion_mnist.yaml", "epochs=3"],
        [*("evaluate", "--run", "runs/fashion-mnist", "--split", "test"), "--json", "test.json"],
    )
    for arguments in steps:
        done = run_cli(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "test.json").read_text())["accuracy"] >= 0.80
