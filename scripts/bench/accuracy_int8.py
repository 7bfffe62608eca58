"""Accuracy in float32 and in 8-bit integers on the test images of Fashion-MNIST.

Trains ResNet-18 and ResNet-50 (v1b) on some of the training images, enlarged to 40 pixels, for two
epochs, quantizes them, and scores both on all 10,000 test images. Needs Debian's package
dataset-fashion-mnist. What has been trained is not trained again.
"""

from __future__ import annotations

import gzip
import json
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
from harness import Options, Target, read_options, result_row, write_results
from trained_runs import fashionai, write_yaml

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
CROP, RESIZE_SHORT, EPOCHS, BATCH_SIZE = 40, 44, 2, 64
NETWORKS = (("ResNet-18", "resnet18_v1b"), ("ResNet-50", "resnet50_v1b"))
# Points of accuracy, in percent.
TARGET = Target(0.3, at_most=True)
TASK = "fashion-mnist"


def main() -> None:
    """Train, quantize and tell."""
    options = read_options(__doc__, images=20_000, quick_images=256)
    folder = prepare(options)
    rows = []
    for title, network in NETWORKS:
        run = quantized_run(options, folder, network)
        exact, integer = (test_scores(run, engine) for engine in ("gluon", "int8"))
        lost = 100 * (exact["accuracy"] - integer["accuracy"])
        cells = [
            f"accuracy of int8, {title}, {exact['n']:,} test images of Fashion-MNIST",
            *("float32", f"{exact['accuracy']:.2%}", f"{integer['accuracy']:.2%}"),
            *(f"{lost:.2f} points lower", "", f"{TARGET} points"),
            "yes" if TARGET.is_met(lost) else "no",
        ]
        rows.append(result_row(cells, float32=exact, int8=integer))
    write_results(rows, options)


def prepare(options: Options) -> Path:
    """The prepared folder."""
    if not FASHION_MNIST.is_dir():
        sys.exit(f"{FASHION_MNIST} is missing; run: apt-get install dataset-fashion-mnist")
    folder = options.cache / f"{TASK}-{options.images}"
    if not (folder / TASK / "manifest.csv").is_file():
        data = options.cache / f"{TASK}-{options.images}-data"
        shorten(data, options.images)
        fashionai("prepare", "--task", TASK, "--data", data, "--out", folder)
    return folder


def shorten(folder: Path, count: int) -> None:
    """Write the first ``count`` training and test rows, as far as there are, as idx files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("train", "t10k"):
        for kind, dimensions in (("images-idx3", 3), ("labels-idx1", 1)):
            data = gzip.decompress((FASHION_MNIST / f"{name}-{kind}-ubyte.gz").read_bytes())
            start = 4 + 4 * dimensions
            shape = struct.unpack(f">{dimensions}I", data[4:start])
            values = np.frombuffer(data, np.uint8, offset=start).reshape(shape)[:count]
            header = data[:4] + struct.pack(f">{dimensions}I", *values.shape)
            (folder / f"{name}-{kind}-ubyte").write_bytes(header + values.tobytes())


def quantized_run(options: Options, folder: Path, network: str) -> Path:
    """A trained run with an integer version."""
    run = options.cache / "runs" / f"{folder.name}-{network}"
    settings = {
        "task": TASK,
        "model": {"name": network, "pretrained": False},
        "data": {"folder": str(folder), "crop": CROP, "resize_short": RESIZE_SHORT},
        "epochs": EPOCHS,
        "batch_size": BATCH_SIZE,
        "optimizer": {"lr": 0.05},
        "schedule": {"name": "one_cycle"},
    }
    config = write_yaml(run.parent / f"{run.name}.yaml", settings)
    fashionai("train", "--config", config, "--run", run, "--resume")
    # Whatever the loss is, it is told.
    fashionai("quantize", "--run", run, "--max-loss", 1, "--batch-size", BATCH_SIZE)
    return run


def test_scores(run: Path, engine: str) -> dict[str, Any]:
    """What ``fashionai evaluate`` finds."""
    file = run / f"test-{engine}.json"
    words = ("evaluate", "--run", run, "--split", "test", "--crops", 1, "--engine", engine)
    fashionai(*words, "--batch-size", BATCH_SIZE, "--json", file)
    scores: dict[str, Any] = json.loads(file.read_text())
    return scores


if __name__ == "__main__":
    main()
