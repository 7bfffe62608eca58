"""Ten-crop prediction: from JPEG files to averaged probabilities."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from engine import open_best
from measuring.worker import Settings, serve

from fashionai.predictions.predict import predict_with_engine


def set_up(settings: Settings) -> Callable[[], float]:
    """Measure images per second over all files."""
    engine, run = open_best(settings)
    files = [Path(file) for file in settings["files"]]

    def measure() -> float:
        begun = time.perf_counter()
        batch_size = settings["batch_size"]
        predictions = predict_with_engine(engine, run, files, crops=10, batch_size=batch_size)
        return len(predictions) / (time.perf_counter() - begun)

    measure()
    return measure


if __name__ == "__main__":
    serve(set_up, "mxnet", "numpy", "onnxruntime", "opencv-python", "opencv-python-headless")
