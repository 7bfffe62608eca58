"""int8 after transfer: EfficientNet-Lite0 and MobileNetV2 with ImageNet weights.

Their output layers learn on a part of the training images of Fashion-MNIST, enlarged to 96 pixels.
Both networks are quantized and evaluated on five times as many test images. Then int8 is compared
with the fastest float32 engine of the same network, and both networks in int8, in batches of 16
images in memory. Needs Debian's package dataset-fashion-mnist and the package index. A finished run
is not trained again.
"""

from __future__ import annotations

from pathlib import Path

from accuracy_int8 import BATCH_SIZE, TASK, accuracy_row, prepared, test_scores, train_and_quantize
from measuring.comparison import Comparison, Target, compare
from measuring.options import Options, read_options
from measuring.results import write_results
from measuring.side import Side

LITE, MOBILENET = "efficientnet_lite0", "mobilenetv2_1.0"
TITLES = {LITE: "EfficientNet-Lite0", MOBILENET: "MobileNetV2"}
CROP, RESIZE_SHORT, EPOCHS = 96, 108, 20
FORWARD_BATCH, BATCHES = 16, 16
ACCURACY = Target(0.5, at_most=True)


def main() -> None:
    """Train, quantize, evaluate and time both networks."""
    options = read_options(__doc__, images=2_000, quick_images=256)
    runs = {network: transferred(options, network) for network in TITLES}
    rows = []
    for network, run in runs.items():
        scores = (test_scores(run, engine) for engine in ("gluon", "int8"))
        rows.append(accuracy_row(TITLES[network], *scores, target=ACCURACY))
    int8 = {network: forward(network, run, "int8") for network, run in runs.items()}
    for network, run in runs.items():
        title = f"forward, {TITLES[network]}, int8 over float32"
        peer = forward(network, run, "exact")
        rows.append(compare(Comparison(title, "images/s", Target(2), peer, int8[network]), options))
    title = "forward in int8, EfficientNet-Lite0 over MobileNetV2"
    comparison = Comparison(title, "images/s", Target(1), int8[MOBILENET], int8[LITE])
    rows.append(compare(comparison, options))
    write_results(rows, options)


def transferred(options: Options, network: str) -> Path:
    """A run whose output layer has learned, with its quantized network."""
    folder = prepared(options, 5 * options.images)
    settings = {
        "task": TASK,
        "model": {"name": network},
        "data": {
            **{"folder": str(folder), "crop": CROP, "resize_short": RESIZE_SHORT},
            "augment": [],
        },
        "trainable": "head",
        "epochs": EPOCHS,
        "batch_size": BATCH_SIZE,
        "optimizer": {"name": "adamw", "lr": 0.002, "weight_decay": 0.1},
        "schedule": {"name": "cosine"},
    }
    return train_and_quantize(options.cache / "runs" / f"{folder.name}-head-{network}", settings)


def forward(network: str, run: Path, engine: str) -> Side:
    """The forward pass with an engine; "exact" stands for the fastest float32 engine."""
    settings = {"run": run, "engine": engine, "batch_size": FORWARD_BATCH, "batches": BATCHES}
    name = engine if engine == "int8" else "float32"
    return Side(f"{TITLES[network]}, {name}", "ours/forward.py", settings)


if __name__ == "__main__":
    main()
