"""A network of timm on the CPU, channels last: steps of training, or the forward pass."""

from __future__ import annotations

import time
from collections.abc import Callable

import timm
import torch
from measuring.worker import FACTS, Settings, serve


def set_up(settings: Settings) -> Callable[[], float]:
    """Measure images per second over ``batches`` batches of normalised pixels in memory.

    ``measure`` is step (forward pass, backward pass and update on one constant batch) or forward.
    ``options`` are those of timm's create_model.
    """
    network = timm.create_model(
        settings["network"], num_classes=settings["classes"], **settings["options"]
    ).to(memory_format=torch.channels_last)
    batch_size, crop = settings["batch_size"], settings["crop"]
    images = torch.randn(batch_size, 3, crop, crop).contiguous(memory_format=torch.channels_last)
    compute = {"step": training, "forward": prediction}[settings["measure"]]
    repeat = compute(network, images, settings)
    FACTS["threads"] = torch.get_num_threads()

    def measure() -> float:
        begun = time.perf_counter()
        for _ in range(settings["batches"]):
            repeat()
        return settings["batches"] * batch_size / (time.perf_counter() - begun)

    measure()
    return measure


def training(
    network: torch.nn.Module, images: torch.Tensor, settings: Settings
) -> Callable[[], None]:
    """One step of SGD."""
    network.train()
    targets = torch.arange(len(images)) % settings["classes"]
    optimizer = torch.optim.SGD(
        network.parameters(),
        settings["lr"],
        momentum=settings["momentum"],
        weight_decay=settings["weight_decay"],
    )
    cross_entropy = torch.nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad()
        cross_entropy(network(images), targets).backward()
        optimizer.step()

    return step


def prediction(
    network: torch.nn.Module, images: torch.Tensor, settings: Settings
) -> Callable[[], None]:
    """Logits of a batch."""
    network.eval()

    def forward() -> None:
        with torch.inference_mode():
            network(images)

    return forward


if __name__ == "__main__":
    serve(set_up, "torch", "timm")
