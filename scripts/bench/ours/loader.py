"""Loads batches with this project's loader."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measuring.worker import Settings, serve

from fashionai.config import DataConfig
from fashionai.pipeline.augment import TrainingTransform
from fashionai.pipeline.loader import Loader


def set_up(settings: Settings) -> Callable[[], float]:
    """Measure images per second over all files.

    The setting ``workers`` is the number of decoding threads, by default one per core, and
    ``policy`` an augmentation policy that follows the crop and the mirror.
    """
    files = [Path(file) for file in settings["files"]]
    workers = settings.get("workers")
    policy = settings.get("policy")
    steps = {"augment": ["random_crop", "mirror", policy]} if policy else {}
    transform = TrainingTransform(DataConfig.model_validate(steps))
    loader = Loader(files, transform, settings["batch_size"], workers=workers)
    epochs = iter(range(1_000_000))

    def measure(rows: int = len(files)) -> float:
        begun = time.perf_counter()
        seen = sum(len(b.rows) for b in loader.batches(np.arange(rows), next(epochs)))
        return seen / (time.perf_counter() - begun)

    measure(min(256, len(files)))
    return measure


if __name__ == "__main__":
    serve(set_up, "numpy", "opencv-python", "opencv-python-headless")
