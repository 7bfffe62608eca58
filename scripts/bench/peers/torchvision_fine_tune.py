"""Fine-tunes a network of torchvision within a time: the peer of first_hour_study.py.

usage: torchvision_fine_tune.py SETTINGS, where SETTINGS is JSON with the keys

- folder: has train and test, with a folder of images per class;
- network, weights: a network of torchvision, and a .safetensors file with ImageNet weights for it;
- resize, crop, batch_size, seed, and lr and weight_decay of AdamW;
- seconds: CPU time for the training. The learning rate falls to zero along a cosine of the time.

Prints JSON: the accuracy on the test images, the epochs, and the CPU seconds with imports left out.
"""

from __future__ import annotations

import json
import math
import random
import sys
import time
from typing import Any

import numpy as np
import torch
import torchvision
import torchvision.transforms as T  # noqa: N812 - the alias of its own examples
from PIL import Image
from safetensors.torch import load_file
from torchvision_images import MEAN, STD

# The share of the time in which the learning rate rises.
WARM_UP = 1 / 12


def on_white(path: str) -> Image.Image:
    """An image as RGB. What is transparent becomes white; torchvision's loader makes it black."""
    image = Image.open(path).convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def images_of(settings: dict[str, Any], split: str, *steps: Any) -> Any:
    """The images of a split as torchvision reads folders."""
    transform = T.Compose([*steps, T.ToTensor(), T.Normalize(MEAN, STD)])
    folder = f"{settings['folder']}/{split}"
    return torchvision.datasets.ImageFolder(folder, transform, loader=on_white)


def build(settings: dict[str, Any], classes: int) -> torch.nn.Module:
    """The network with the ImageNet weights and a new output layer."""
    network = getattr(torchvision.models, settings["network"])(num_classes=classes)
    output = {name for name, _ in network.classifier.named_parameters(prefix="classifier")}
    weights = load_file(settings["weights"])
    kept = {name: value for name, value in weights.items() if name not in output}
    missing, unknown = network.load_state_dict(kept, strict=False)
    known = [name for name in missing if not name.endswith("num_batches_tracked")]
    assert set(known) == output, known
    assert not unknown, unknown
    return network


def rate_at(share: float) -> float:
    """The learning rate after a share of the time, as a factor of the largest one."""
    if share < WARM_UP:
        return share / WARM_UP
    return 0.5 + 0.5 * math.cos(math.pi * min(1, (share - WARM_UP) / (1 - WARM_UP)))


def train(network: torch.nn.Module, batches: Any, settings: dict[str, Any], start: float) -> float:
    """Train until the time is over; return the number of epochs."""
    decay, loss_of = settings["weight_decay"], torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(network.parameters(), settings["lr"], weight_decay=decay)
    network.train()
    steps = 0
    while True:
        for images, targets in batches:
            share = (time.process_time() - start) / settings["seconds"]
            if share >= 1:
                return steps / len(batches)
            for group in optimizer.param_groups:
                group["lr"] = settings["lr"] * rate_at(share)
            optimizer.zero_grad()
            loss_of(network(images), targets).backward()
            optimizer.step()
            steps += 1


@torch.no_grad()
def accuracy(network: torch.nn.Module, batches: Any) -> float:
    """The share of images whose most likely class is the true one."""
    network.eval()
    correct = [network(images).argmax(1) == targets for images, targets in batches]
    return float(torch.cat(correct).float().mean())


def main(settings: dict[str, Any]) -> None:
    """Train and print the results."""
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(settings["seed"])
    crop = settings["crop"]
    shown = (T.Resize(settings["resize"]), T.RandomCrop(crop), T.RandomHorizontalFlip())
    train_images = images_of(settings, "train", *shown)
    test_images = images_of(settings, "test", T.Resize(settings["resize"]), T.CenterCrop(crop))
    start, size = time.process_time(), settings["batch_size"]
    network = build(settings, len(train_images.classes)).to(memory_format=torch.channels_last)
    batches = torch.utils.data.DataLoader(train_images, size, shuffle=True, drop_last=True)
    epochs = train(network, batches, settings, start)
    found = accuracy(network, torch.utils.data.DataLoader(test_images, size))
    seconds = time.process_time() - start
    print(json.dumps({"accuracy": found, "epochs": epochs, "seconds": seconds}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
