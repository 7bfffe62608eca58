"""Loads batches with torchvision's transforms and a DataLoader."""

from __future__ import annotations

import time
from collections.abc import Callable

from measuring.worker import Settings, serve
from torchvision_images import Files, loader, training_transform


def set_up(settings: Settings) -> Callable[[], float]:
    """Measure images per second over all files."""
    images = Files(settings["files"], training_transform(settings.get("policy", "")))
    batches = loader(images, settings["batch_size"])

    def measure() -> float:
        begun = time.perf_counter()
        seen = sum(len(batch) for batch in batches)
        return seen / (time.perf_counter() - begun)

    measure()
    return measure


if __name__ == "__main__":
    serve(set_up, "torch", "torchvision", "pillow")
