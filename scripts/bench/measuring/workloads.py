"""What several benchmarks measure: training on the same images, and ten-crop prediction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from measuring.comparison import Comparison, Target
from measuring.images import CLASSES, class_folders, make_images
from measuring.options import Options
from measuring.runs import TASK, prepared, trained_run
from measuring.side import Side

BATCH_SIZE = 32
# Images per batch; each has ten crops.
PREDICTION_BATCH = 16
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.01, 0.9, 1e-4


def our_training(cache: Path, images: int, network: str, **more: Any) -> dict[str, Any]:
    """Settings of ours/train.py: the loop of ``fashionai train`` with its default augmentation.

    ``more`` holds further keys of the configuration.
    """
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
    """Settings of a peer that trains on class folders."""
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
    """Compare ResNet-18, and ResNet-50 on half of the images, with the given engine."""
    fewer = options._replace(images=max(1, options.images // 2))
    return [
        ten_crop(options, "resnet18_v1b", "resnet18", engine, targets[0]),
        ten_crop(fewer, "resnet50_v1b", "resnet50", engine, targets[1]),
    ]


def ten_crop(
    options: Options, ours: str, torchvision: str, engine: str, target: Target
) -> Comparison:
    """Compare ten-crop prediction of the same layers under their names in both projects."""
    common = {
        "files": make_images(options.cache, options.images),
        "batch_size": PREDICTION_BATCH,
    }
    run = trained_run(options.cache, ours)
    kind = "int8 over float32" if engine == "int8" else "float32"
    return Comparison(
        f"ten-crop prediction, {torchvision}, {kind}",
        "images/s",
        target,
        Side(
            f"torchvision, {torchvision}",
            "peers/torchvision_ten_crop.py",
            {**common, "network": torchvision, "classes": CLASSES},
            options.peer_python,
        ),
        Side(
            f"fashionai, {ours}",
            "ours/ten_crop.py",
            {**common, "run": run, "engine": engine},
        ),
    )
