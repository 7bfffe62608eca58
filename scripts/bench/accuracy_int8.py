"""Accuracy of float32 and int8 networks on the test images of Fashion-MNIST.

Trains ResNet-18 and ResNet-50 (v1b) for two epochs on a part of the training images, enlarged to
40 pixels. Then quantizes both and evaluates them on all 10,000 test images. Needs Debian's package
dataset-fashion-mnist. A finished run is not trained again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from measuring.comparison import Target
from measuring.options import Options, read_options
from measuring.results import result_row, write_results
from measuring.runs import fashionai, write_yaml

from fashionai import find_task, prepare, read_data_set
from fashionai.cli.terminal.progress import progress_bar
from fashionai.datasets.prepared.manifest import MANIFEST

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
CROP, RESIZE_SHORT, EPOCHS, BATCH_SIZE = 40, 44, 2, 64
NETWORKS = (("ResNet-18", "resnet18_v1b"), ("ResNet-50", "resnet50_v1b"))
# Loss of accuracy in percentage points.
TARGET = Target(0.3, at_most=True)
TASK = "fashion-mnist"


def main() -> None:
    """Train, quantize and evaluate both networks."""
    options = read_options(__doc__, images=20_000, quick_images=256)
    folder = prepared(options, options.images)
    rows = []
    for title, network in NETWORKS:
        run = quantized_run(options, folder, network)
        rows.append(accuracy_row(title, test_scores(run, "gluon"), test_scores(run, "int8")))
    write_results(rows, options)


def accuracy_row(
    title: str, float32: dict[str, Any], int8: dict[str, Any], target: Target = TARGET
) -> dict[str, Any]:
    """The row of one network, from its scores with both engines."""
    lost = 100 * (float32["accuracy"] - int8["accuracy"])
    cells = [
        f"accuracy of int8, {title}, {float32['n']:,} test images of Fashion-MNIST",
        "float32",
        f"{float32['accuracy']:.2%}",
        f"{int8['accuracy']:.2%}",
        f"{abs(lost):.2f} points {'lower' if lost > 0 else 'higher'}",
        "",
        f"{target} points lower",
        "yes" if target.is_met(lost) else "no",
    ]
    return result_row(cells, float32=float32, int8=int8)


def prepared(options: Options, tests: int) -> Path:
    """The prepared folder of the first ``options.images`` training and ``tests`` test images."""
    if not FASHION_MNIST.is_dir():
        sys.exit(f"{FASHION_MNIST} not found; run: apt-get install dataset-fashion-mnist")
    folder = options.cache / f"{TASK}-{options.images}-{tests}"
    if not (folder / TASK / MANIFEST).is_file():
        source = read_data_set(find_task(TASK), FASHION_MNIST)
        of_test = [image for image in source.images if image.split == "test"]
        others = [image for image in source.images if image.split != "test"]
        chosen = others[: options.images] + of_test[:tests]
        prepare(source._replace(images=chosen), folder, progress=progress_bar)
    return folder


def quantized_run(options: Options, folder: Path, network: str) -> Path:
    """A trained run with its quantized network."""
    settings = {
        "task": TASK,
        "model": {"name": network, "pretrained": False},
        "data": {"folder": str(folder), "crop": CROP, "resize_short": RESIZE_SHORT},
        "epochs": EPOCHS,
        "batch_size": BATCH_SIZE,
        "optimizer": {"lr": 0.05},
        "schedule": {"name": "one_cycle"},
    }
    return train_and_quantize(options.cache / "runs" / f"{folder.name}-{network}", settings)


def train_and_quantize(run: Path, settings: dict[str, Any]) -> Path:
    """Train a run unless it is finished, and quantize it."""
    config = write_yaml(run.parent / f"{run.name}.yaml", settings)
    fashionai("train", "--config", config, "--run", run, "--resume")
    # The highest --max-loss: the benchmark reports the loss of accuracy, however large it is.
    fashionai("quantize", "--run", run, "--max-loss", 1, "--batch-size", BATCH_SIZE)
    return run


def test_scores(run: Path, engine: str) -> dict[str, Any]:
    """The scores of ``fashionai evaluate`` on the test split with an engine."""
    file = run / f"test-{engine}.json"
    arguments = ("--run", run, "--split", "test", "--crops", 1, "--engine", engine)
    fashionai("evaluate", *arguments, "--batch-size", BATCH_SIZE, "--json", file)
    scores: dict[str, Any] = json.loads(file.read_text())
    return scores


if __name__ == "__main__":
    main()
