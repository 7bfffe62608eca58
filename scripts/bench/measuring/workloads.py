"""What scripts of a kind share: the sides of their comparisons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness import Comparison, Options, Side, Target
from images import CLASSES, TASK, class_folders, make_images, prepared
from trained_runs import trained_run

BATCH_SIZE = 32
# Images, each with ten crops.
PREDICTION_BATCH = 16
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.01, 0.9, 1e-4


def our_training(cache: Path, images: int, network: str, **more: Any) -> dict[str, Any]:
    """For ours/train.py: the loop of ``fashionai train`` with its default augmentation."""
    config = {
        "task": TASK,
        "model": {"name": network, "pretrained": False},
        "data": {"folder": str(prepared(cache, images))},
        "batch_size": BATCH_SIZE,
        "optimizer": {
            "name": "sgd",
            "lr": LEARNING_RATE,
            "momentum": MOMENTUM,
            "weight_decay": WEIGHT_DECAY,
        },
        **more,
    }
    return {"config": config, "measure": "loop"}


def peer_training(cache: Path, images: int, network: str) -> dict[str, Any]:
    """For a peer that trains on class folders."""
    tree = class_folders(cache, images)
    return {
        "folder": str(tree / "train"),
        "network": network,
        "classes": CLASSES,
        "batch_size": BATCH_SIZE,
        "lr": LEARNING_RATE,
        "momentum": MOMENTUM,
        "weight_decay": WEIGHT_DECAY,
    }


def ten_crops(options: Options, engine: str, targets: tuple[Target, Target]) -> list[Comparison]:
    """Both networks by an engine of ours; ResNet-50 has half of the images."""
    fewer = options._replace(images=max(1, options.images // 2))
    rows = ((options, "resnet18_v1b", "resnet18"), (fewer, "resnet50_v1b", "resnet50"))
    return [ten_crop(*row, engine, target) for row, target in zip(rows, targets)]


def ten_crop(options: Options, network: str, twin: str, engine: str, target: Target) -> Comparison:
    """Prediction with ten crops by an engine of ours, over that of torchvision's ``twin``."""
    common = {
        "files": make_images(options.cache, options.images),
        "batch_size": PREDICTION_BATCH,
    }
    run = trained_run(options.cache, network)
    kind = "8-bit integers over float32" if engine == "int8" else "float32"
    return Comparison(
        f"ten-crop prediction, {twin}, {kind}",
        "images/s",
        target,
        Side(
            f"torchvision, {twin}",
            "peers/torchvision_ten_crop.py",
            {**common, "network": twin, "classes": CLASSES},
            options.peer_python,
        ),
        Side(
            f"fashionai, {network}",
            "ours/ten_crop.py",
            {**common, "run": run, "engine": engine},
        ),
    )
