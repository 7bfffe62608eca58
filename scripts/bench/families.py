"""Training and prediction with the smallest network of each family, compared with timm's.

Images of 128 pixels in batches of 16 that are already in memory. Training is the forward pass, the
backward pass and the update on one constant batch. In prediction our side takes pixels and returns
probabilities, with the fastest float32 engine; the peer takes normalised pixels and returns logits.
The peer computes with channels last. Networks have random weights. With 3 --repetitions on two idle
cores it takes about 7 minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from measuring.comparison import Comparison, Target, run_comparisons
from measuring.images import CLASSES
from measuring.options import Options, read_options
from measuring.runs import prepared, untrained_run
from measuring.side import Side
from measuring.workloads import LEARNING_RATE, MOMENTUM, WEIGHT_DECAY, our_training

CROP, BATCH_SIZE = 128, 16
# Ours, timm's, and the options of timm's.
NETWORKS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("convnext_atto", "convnext_atto", {}),
    ("efficientnet_lite0", "tf_efficientnet_lite0", {}),
    ("efficientnet_b0", "efficientnet_b0", {}),
    ("efficientnetv2_b0", "tf_efficientnetv2_b0", {}),
    ("vit_tiny", "vit_tiny_patch16_224", {"img_size": CROP}),
    ("deit3_small", "deit3_small_patch16_224", {"img_size": CROP}),
    ("resnet50_v1d", "resnet50d", {}),
    ("resnest14", "resnest14d", {}),
)
# The forward pass is about three times as fast as a step.
FORWARD_BATCHES = 3
ENGINES = ("gluon", "torch")
TARGET = Target(1)


def peer(options: Options, network: str, settings: dict[str, Any], measure: str) -> Side:
    """timm's side."""
    steps = options.images // BATCH_SIZE
    common = {
        "network": network,
        "options": settings,
        "measure": measure,
        "classes": CLASSES,
        "crop": CROP,
        "batch_size": BATCH_SIZE,
        "batches": steps if measure == "step" else FORWARD_BATCHES * steps,
        "lr": LEARNING_RATE,
        "momentum": MOMENTUM,
        "weight_decay": WEIGHT_DECAY,
    }
    return Side(f"timm, {network}", "peers/timm_network.py", common, options.peer_python)


def training(options: Options, network: str, engine: str) -> Side:
    """Our side in training."""
    data = {"folder": str(prepared(options.cache, options.images)), "crop": CROP}
    settings = our_training(
        *(options.cache, options.images, network),
        **{"data": data, "batch_size": BATCH_SIZE, "engine": engine},
    )
    name = f"fashionai, {network}, engine {engine}"
    return Side(name, "ours/train.py", {**settings, "measure": "step"})


def prediction(options: Options, network: str) -> Side:
    """Our side in prediction."""
    settings = {
        "run": untrained_run(options.cache, network, CROP),
        "engine": "exact",
        "batch_size": BATCH_SIZE,
        "batches": FORWARD_BATCHES * options.images // BATCH_SIZE,
    }
    return Side(f"fashionai, {network}", "ours/forward.py", settings)


def comparisons(options: Options) -> Iterator[Comparison]:
    """Prediction, and training with both engines, for each network."""
    for ours, theirs, settings in NETWORKS:
        forward, step = (peer(options, theirs, settings, each) for each in ("forward", "step"))
        sides = {f"forward, {ours}, float32": (forward, prediction(options, ours))}
        for engine in ENGINES:
            title = f"training, {ours}, engine {engine}"
            sides[title] = (step, training(options, ours, engine))
        for title, (theirs_side, our_side) in sides.items():
            yield Comparison(title, "images/s", TARGET, theirs_side, our_side)


def main() -> None:
    """Compare all networks."""
    options = read_options(__doc__, images=64, quick_images=BATCH_SIZE)
    run_comparisons(comparisons(options), options)


if __name__ == "__main__":
    main()
