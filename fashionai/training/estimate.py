"""The estimated time and memory of a run, logged after its first steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fashionai.config import Config

# A training step costs about three forward passes: forward, and backward for inputs and weights.
FORWARD_SHARE = 1 / 3
LONG_RUN_HOURS = 2

# Lighter settings for machines without a GPU, and how many times as fast as ResNet-50 v2 at 224
# pixels they train (measured on 2 cores).
LIGHTER_SETTINGS = (
    ("model.name=resnet18_v2", 2.6),
    ("model.name=mobilenet0.5 data.resize_short=144 data.crop=128", 44.0),
)
DEFAULT_NETWORK = ("resnet50_v2", 224)

# A small data set to fine-tune on, for the mark in the list of networks.
EXAMPLE_IMAGES, EXAMPLE_EPOCHS = 1000, 10
# Multiply-accumulates of the forward pass of the images that 2 cores train on per second.
# ResNet-50 v2 does 13.5 images/s of 4.09e9; half of that is assumed, because networks of many
# small layers do fewer. MobileNetV2, with depthwise convolutions, does 18.5 images/s of 0.314e9.
OPERATIONS_PER_SECOND = 0.5 * 13.5 * 4.09e9
DEPTHWISE_OPERATIONS_PER_SECOND = 18.5 * 0.314e9
# The beginnings of the names of networks with depthwise convolutions.
DEPTHWISE = ("convnext", "efficientnet", "mobilenet", "shufflenet", "xception")


def estimate_lines(
    config: Config,
    seconds_per_image: float,
    train_images: int,
    val_images: int,
    epochs_done: int,
    contexts: Sequence[Any],
    memory: float,
) -> list[str]:
    """Lines for the terminal: the estimated time of the remaining epochs, and the memory in use.

    ``memory`` is in GB. For a long run on the CPU they also suggest lighter settings.
    """
    epochs = config.epochs - epochs_done
    seconds = epochs * seconds_per_image * (train_images + FORWARD_SHARE * val_images)
    devices = ", ".join(str(context) for context in contexts)
    count = f"{epochs} epoch{'s' if epochs > 1 else ''}"
    line = (
        f"about {duration(seconds)} for {count}: {1 / seconds_per_image:.1f} images/s "
        f"on {devices}, {memory:.1f} GB of memory"
    )
    if contexts[0].device_type == "cpu" and seconds > LONG_RUN_HOURS * 3600:
        return [line, *_lighter_settings(config, seconds)]
    return [line]


def trains_in_an_hour(name: str, operations: float) -> bool:
    """Whether 2 cores fine-tune a network on the example in about an hour.

    ``operations`` are the multiply-accumulates of its forward pass for one image.
    """
    per_second = OPERATIONS_PER_SECOND
    if name.startswith(DEPTHWISE):
        per_second = DEPTHWISE_OPERATIONS_PER_SECOND
    return EXAMPLE_IMAGES * EXAMPLE_EPOCHS * operations / per_second <= 3600


def _lighter_settings(config: Config, seconds: float) -> list[str]:
    if (config.model.name, config.data.crop) != DEFAULT_NETWORK:
        return ["Fewer epochs, a smaller data.crop or a lighter model.name would be faster."]
    lines = ["Fewer epochs or one of these settings would be faster:"]
    for settings, speed_up in LIGHTER_SETTINGS:
        lines.append(f"  {settings}")
        lines.append(f"    (about {duration(seconds / speed_up)})")
    return lines


def duration(seconds: float) -> str:
    """A duration in readable units: ``45 s``, ``12 min``, ``3 h 20 min``, ``2 days 4 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} days {hours % 24} h"
