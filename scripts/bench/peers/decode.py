"""Decodes image files once with OpenCV, with one thread per core."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
from measuring.worker import Settings, serve

# The thread pool below uses all cores already.
cv2.setNumThreads(0)


def decode(file: Path) -> int:
    """Decode an image; returns its number of values."""
    return cv2.imread(str(file)).size


def set_up(settings: Settings) -> Callable[[], float]:
    """Measure seconds for all files of the class folders."""
    files = sorted(Path(settings["folder"]).glob("*/*.jpg"))

    def measure() -> float:
        begun = time.perf_counter()
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            sum(pool.map(decode, files))
        return time.perf_counter() - begun

    measure()
    return measure


if __name__ == "__main__":
    serve(set_up, "opencv-python", "opencv-python-headless")
