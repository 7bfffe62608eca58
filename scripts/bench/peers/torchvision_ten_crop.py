"""Ten-crop prediction with torchvision: from JPEG files to averaged probabilities."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torchvision
from measuring.worker import FACTS, Settings, serve
from torchvision_images import Files, loader, ten_crop_transform


def set_up(settings: Settings) -> Callable[[], float]:
    """Measure images per second over all files."""
    batches = loader(Files(settings["files"], ten_crop_transform()), settings["batch_size"])
    network = getattr(torchvision.models, settings["network"])(num_classes=settings["classes"])
    network = network.to(memory_format=torch.channels_last).eval()
    FACTS["threads"] = torch.get_num_threads()

    @torch.inference_mode()
    def measure() -> float:
        begun, predictions = time.perf_counter(), []
        for crops in batches:
            views = crops.flatten(0, 1).contiguous(memory_format=torch.channels_last)
            probabilities = network(views).softmax(dim=1)
            predictions.append(probabilities.unflatten(0, crops.shape[:2]).mean(dim=1))
        return len(torch.cat(predictions)) / (time.perf_counter() - begun)

    measure()
    return measure


if __name__ == "__main__":
    serve(set_up, "torch", "torchvision", "pillow")
