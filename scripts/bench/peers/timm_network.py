"""Networks of timm on the CPU, channels last: steps of training and forward passes."""

from __future__ import annotations

from collections.abc import Callable

import timm
import torch
from measuring.cases import Case, serve_cases
from measuring.worker import Settings


def build(case: Settings) -> Case:
    """Compute batches of normalised pixels in memory.

    ``measure`` is step (forward pass, backward pass and update on one constant batch) or forward.
    ``options`` are those of timm's create_model.
    """
    network = timm.create_model(case["peer"], num_classes=case["classes"], **case["options"])
    network = network.to(memory_format=torch.channels_last)
    images = torch.randn(case["batch_size"], 3, case["crop"], case["crop"])
    images = images.contiguous(memory_format=torch.channels_last)
    compute = training if case["measure"] == "step" else prediction
    return Case(compute(network, images, case))


def training(network: torch.nn.Module, images: torch.Tensor, case: Settings) -> Callable[[], None]:
    """One step of SGD."""
    network.train()
    targets = torch.arange(len(images)) % case["classes"]
    optimizer = torch.optim.SGD(
        network.parameters(),
        case["lr"],
        momentum=case["momentum"],
        weight_decay=case["weight_decay"],
    )
    cross_entropy = torch.nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad()
        cross_entropy(network(images), targets).backward()
        optimizer.step()

    return step


def prediction(
    network: torch.nn.Module, images: torch.Tensor, case: Settings
) -> Callable[[], None]:
    """Logits of a batch."""
    network.eval()

    def forward() -> None:
        with torch.inference_mode():
            network(images)

    return forward


if __name__ == "__main__":
    serve_cases(build, "torch", "timm")
