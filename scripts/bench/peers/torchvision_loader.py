"""Batches of torchvision's loader."""

from __future__ import annotations

import time
from collections.abc import Callable

from torchvision_images import loader, training_transform
from worker import Settings, serve


def set_up(settings: Settings) -> Callable[[], float]:
    """Images a second over all files once."""
    files = settings["files"]
    batches = loader(files, [0] * len(files), training_transform(), settings["batch_size"])

    def measure() -> float:
        begun = time.perf_counter()
        seen = sum(len(images) for images, _ in batches)
        return seen / (time.perf_counter() - begun)

    measure()
    return measure


if __name__ == "__main__":
    serve(set_up, "torch", "torchvision", "pillow")
