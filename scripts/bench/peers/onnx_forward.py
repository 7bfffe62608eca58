"""The forward pass of an ONNX model in ONNX Runtime, with one thread per core."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np
import onnxruntime
from measuring.worker import FACTS, Settings, serve

ERRORS_ONLY = 3


def set_up(settings: Settings) -> Callable[[], float]:
    """Measure images per second over equal batches of random uint8 pixels or normalised floats."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    options.log_severity_level = ERRORS_ONLY
    session = onnxruntime.InferenceSession(
        settings["model"], options, providers=["CPUExecutionProvider"]
    )
    (images,) = session.get_inputs()
    shape, rng = (settings["batch_size"], *images.shape[1:]), np.random.default_rng(0)
    if images.type == "tensor(uint8)":
        batch = rng.integers(0, 256, shape, dtype=np.uint8)
    else:
        batch = rng.standard_normal(shape, dtype=np.float32)
    FACTS.update(threads=options.intra_op_num_threads, input=f"{images.type} {shape}")

    def measure() -> float:
        begun = time.perf_counter()
        for _ in range(settings["batches"]):
            session.run(None, {images.name: batch})
        return settings["batches"] * len(batch) / (time.perf_counter() - begun)

    measure()
    return measure


if __name__ == "__main__":
    serve(set_up, "onnxruntime", "numpy")
