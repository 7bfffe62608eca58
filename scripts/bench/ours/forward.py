"""The forward pass of an engine: from pixels in memory to probabilities."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from engine import open_best
from measuring.worker import Settings, serve


def set_up(settings: Settings) -> Callable[[], float]:
    """Measure images per second over ``batches`` equal batches of random pixels."""
    engine, run = open_best(settings)
    crop, batch_size = run.config.data.crop, settings["batch_size"]
    shape = (batch_size, crop, crop, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

    def measure() -> float:
        begun = time.perf_counter()
        for _ in range(settings["batches"]):
            engine.begin(pixels)()
        return settings["batches"] * batch_size / (time.perf_counter() - begun)

    measure()
    return measure


if __name__ == "__main__":
    serve(set_up, "mxnet", "numpy", "onnxruntime")
