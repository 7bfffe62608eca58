"""Prediction with ten crops: from JPEG files to averaged probabilities."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from engine import open_best
from worker import Settings, serve

from fashionai.predictions.predict import predict_with_engine


def set_up(settings: Settings) -> Callable[[], float]:
    """Images a second over all files once."""
    engine, run = open_best(settings)
    files = [Path(file) for file in settings["files"]]

    def measure() -> float:
        begun = time.perf_counter()
        batch_size = settings["batch_size"]
        answers = predict_with_engine(engine, run, files, crops=10, batch_size=batch_size)
        return len(answers) / (time.perf_counter() - begun)

    measure()
    return measure


if __name__ == "__main__":
    serve(set_up, "mxnet", "numpy", "onnxruntime", "opencv-python", "opencv-python-headless")
