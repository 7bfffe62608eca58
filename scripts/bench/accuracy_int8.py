"""Accuracy in float32 and in 8-bit integers on the test images of Fashion-MNIST.

Trains ResNet-18 and ResNet-50 (v1b) on some of the training images, enlarged to 40 pixels, for two
epochs, quantizes them, and scores both on all 10,000 test images. Needs Debian's package
dataset-fashion-mnist. What has been trained is not trained again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from harness import Options, Target, read_options, result_row, write_results
from trained_runs import fashionai, write_yaml

from fashionai import find_task, prepare, read_data_set
from fashionai.cli.progress import progress_bar
from fashionai.datasets.prepared.folders import MANIFEST

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
CROP, RESIZE_SHORT, EPOCHS, BATCH_SIZE = 40, 44, 2, 64
NETWORKS = (("ResNet-18", "resnet18_v1b"), ("ResNet-50", "resnet50_v1b"))
# Points of accuracy, in percent.
TARGET = Target(0.3, at_most=True)
TASK = "fashion-mnist"


def main() -> None:
    """Train, quantize and tell."""
    options = read_options(__doc__, images=20_000, quick_images=256)
    folder = prepared(options)
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


def prepared(options: Options) -> Path:
    """The prepared folder of the first training and test images, as far as there are so many."""
    if not FASHION_MNIST.is_dir():
        sys.exit(f"{FASHION_MNIST} is missing; run: apt-get install dataset-fashion-mnist")
    folder = options.cache / f"{TASK}-{options.images}"
    if not (folder / TASK / MANIFEST).is_file():
        source = read_data_set(find_task(TASK), FASHION_MNIST)
        tests = [image for image in source.images if image.split == "test"]
        others = [image for image in source.images if image.split != "test"]
        chosen = others[: options.images] + tests[: options.images]
        prepare(source._replace(images=chosen), folder, progress=progress_bar)
    return folder


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
