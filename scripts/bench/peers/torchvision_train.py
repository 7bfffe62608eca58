"""Training as in torchvision's recipe, on the CPU with channels last.

With the setting ``compile`` the network is compiled by torch.compile.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torchvision
from measuring.worker import FACTS, Settings, serve
from torchvision_images import loader, training_transform


def set_up(settings: Settings) -> Callable[[], float]:
    """Measure images per second over an epoch."""
    images = torchvision.datasets.ImageFolder(settings["folder"], training_transform())
    batches = loader(images, settings["batch_size"], shuffle=True, drop_last=True)
    network = getattr(torchvision.models, settings["network"])(num_classes=settings["classes"])
    network = network.to(memory_format=torch.channels_last).train()
    forward = torch.compile(network, dynamic=False) if settings.get("compile") else network
    optimizer = torch.optim.SGD(
        network.parameters(),
        settings["lr"],
        momentum=settings["momentum"],
        weight_decay=settings["weight_decay"],
    )
    cross_entropy = torch.nn.CrossEntropyLoss()
    FACTS["threads"] = torch.get_num_threads()

    def measure() -> float:
        begun, seen, total, correct = time.perf_counter(), 0, 0.0, 0
        for images, targets in batches:
            outputs = forward(images.contiguous(memory_format=torch.channels_last))
            loss = cross_entropy(outputs, targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
            correct += int((outputs.argmax(1) == targets).sum())
            seen += len(images)
        return seen / (time.perf_counter() - begun)

    measure()
    return measure


if __name__ == "__main__":
    serve(set_up, "torch", "torchvision", "pillow")
