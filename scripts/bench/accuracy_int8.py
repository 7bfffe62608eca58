"""Accuracy in float32 and in 8-bit integers: Fashion-MNIST, enlarged to 40 pixels.

Trains ResNet-18 and ResNet-50 (v1b) on some of the training images for a few epochs,
quantizes them, and scores both on others. Without Debian's package dataset-fashion-mnist, on
the garments that ``fashionai demo`` draws.
"""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import numpy as np
from harness import Options, Target, read_options, result_row, write_results
from runs import fashionai, write_yaml

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
# Most images are for validation: with few a difference of 0.3 points would be chance.
VALIDATION = 0.67
CROP, RESIZE_SHORT, EPOCHS, BATCH_SIZE = 40, 42, 4, 64
NETWORKS = (("ResNet-18", "resnet18_v1b"), ("ResNet-50", "resnet50_v1b"))
# Points of accuracy, in percent.
TARGET = Target(0.3, at_most=True)


def main() -> None:
    """Train, quantize and tell."""
    options = read_options(__doc__, images=9000, quick_images=256)
    task, folder = prepare(options)
    rows = []
    for title, network in NETWORKS:
        before, after, name = accuracies(options, folder, task, network)
        cells = [
            *(f"accuracy of int8, {title}, {name}", "float32", f"{before:.2%}", f"{after:.2%}"),
            *(f"{100 * (before - after):.2f} points lower", ""),
            *(f"{TARGET} points", "yes" if TARGET.is_met(100 * (before - after)) else "no"),
        ]
        rows.append(result_row(cells, float32=before, int8=after))
    write_results(rows, options)


def prepare(options: Options) -> tuple[str, Path]:
    """A task and its prepared folder: real images where they are."""
    real = FASHION_MNIST.is_dir()
    task = "fashion-mnist" if real else "skirt"
    folder = options.cache / f"{task}-{options.images}"
    if not list(folder.glob("*/manifest.csv")):
        data = options.cache / f"{task}-{options.images}-data"
        if real:
            shorten(data, options.images)
        else:
            fashionai("demo", "--out", data, "--train-images", options.images)
        words = ("prepare", "--task", task, "--data", data, "--out", folder)
        fashionai(*words, "--val-fraction", VALIDATION)
    return task, folder


def shorten(folder: Path, count: int) -> None:
    """Write the first training rows, and as many test rows at most, as idx files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("train", "t10k"):
        for kind, dimensions in (("images-idx3", 3), ("labels-idx1", 1)):
            data = gzip.decompress((FASHION_MNIST / f"{name}-{kind}-ubyte.gz").read_bytes())
            start = 4 + 4 * dimensions
            shape = struct.unpack(f">{dimensions}I", data[4:start])
            values = np.frombuffer(data, np.uint8, offset=start).reshape(shape)[:count]
            header = data[:4] + struct.pack(f">{dimensions}I", *values.shape)
            (folder / f"{name}-{kind}-ubyte").write_bytes(header + values.tobytes())


def accuracies(options: Options, folder: Path, task: str, network: str) -> tuple[float, float, str]:
    """Validation accuracy in float32 and in integers, and what it was measured on."""
    run = options.cache / "runs" / f"{folder.name}-{network}"
    settings = {
        "task": task,
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
    (scores,) = json.loads((run / "int8.json").read_text())["tasks"].values()
    name = f"{scores['n']:,} images of {task}"
    return scores["float32"]["accuracy"], scores["int8"]["accuracy"], name


if __name__ == "__main__":
    main()
