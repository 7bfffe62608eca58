"""The estimated time and memory of a run, logged after its first steps."""

from __future__ import annotations

import logging
import pkgutil
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from fashionai.config import Config
from fashionai.config.phases import phases_of
from fashionai.errors import counted
from fashionai.models.catalogue import COST_PER_SECOND, Network, find_network, relative_cost
from fashionai.training.batches.features import training_views
from fashionai.training.batches.inputs import why_no_features
from fashionai.training.learners.learner import Learner

log = logging.getLogger(__name__)

# A training step costs about three forward passes: forward, and backward for inputs and weights.
FORWARD_SHARE = 1 / 3
# On kept features, the seconds per image and epoch; most of them write the run's files.
SECONDS_ON_FEATURES = 1 / 2_000
# Shorter trainings on the CPU get no hints.
LONG_SECONDS = 120
# A setting is named if it takes less than this share of the time.
CLEARLY_LESS = 0.7
# The most networks that are named.
MOST_NETWORKS = 2
SMALL_INPUT = {"data.resize_short": 144, "data.crop": 128}


# The batch size of measurements: smaller than a training's, so that they take seconds with every
# network.
MEASURED_BATCH = 8
# A learning rate at which random weights do not diverge.
SAFE_LR = 1e-6
# A small data set to fine-tune on, for the mark in the list of networks.
EXAMPLE_IMAGES, EXAMPLE_EPOCHS = 1000, 10


class Speed(NamedTuple):
    """Seconds per image of a training step of all layers, and of a forward pass."""

    step: float
    forward: float

    def at_crop(self, ratio: float) -> Speed:
        """The speed for crops whose side is ``ratio`` times as long."""
        return Speed(self.step * ratio**2, self.forward * ratio**2)


def config_of_last_phase(config: Config) -> Config:
    """The configuration of the last phase alone, for images of the full size: they take most."""
    return config.in_phase(config.phases[-1]).changed({"data.sizes": []})


def config_to_measure(config: Config) -> Config:
    """A configuration whose steps, from random weights, are measured in place of another's."""
    return config_of_last_phase(config).changed(
        {
            "epochs": 1,
            "batch_size": min(config.batch_size, MEASURED_BATCH),
            "accumulate": 1,
            "model.pretrained": False,
            "optimizer.lr": SAFE_LR,
            "evaluate_test": "never",
            "ema": None,
        }
    )


def training_seconds(
    config: Config, speed: Speed, train_images: int, val_images: int, epochs: int
) -> float:
    """The estimated seconds of so many epochs, and of the features that are computed once."""
    images = train_images, val_images
    return sum(
        _phase_seconds(config.in_phase(phase), speed, *images, phase.epochs)
        for phase in phases_of(config.trainable, epochs)
    )


def _phase_seconds(
    config: Config, speed: Speed, train_images: int, val_images: int, epochs: int
) -> float:
    if not keeps_features(config):
        return epochs * (train_images * speed.step + val_images * speed.forward)
    views = min(len(training_views(config)), epochs)
    once = (views * train_images + val_images) * speed.forward
    return once + epochs * (train_images + val_images) * SECONDS_ON_FEATURES


def keeps_features(config: Config) -> bool:
    """Whether frozen layers are computed once, unless the network prevents it."""
    return config.trainable == "head" and not why_no_features(config)


def log_estimate(
    learner: Learner,
    seconds_per_image: float,
    train_images: int,
    val_images: int,
    epochs: Sequence[int],
) -> None:
    """Log the estimate of the ``epochs`` of a learner that are left, from the speed of the first.

    Images of other sizes take a time in proportion to their pixels.
    """
    config, devices = learner.config, (learner.contexts, learner.memory_gigabytes())
    images, done = (train_images, val_images), config.epochs - len(epochs)
    pixels = [config.training_side(epoch) ** 2 for epoch in epochs]
    seconds = seconds_per_image * sum(pixels) / (len(pixels) * pixels[0])
    for line in estimate_lines(config, seconds, *images, done, *devices):
        log.info("%s", line)


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

    ``memory`` is in GB. On the CPU they also name settings that take less time.
    """
    epochs = config.epochs - epochs_done
    seconds = epochs * seconds_per_image * (train_images + FORWARD_SHARE * val_images)
    devices = ", ".join(str(context) for context in contexts)
    line = (
        f"about {duration(seconds)} for {counted(epochs, 'epoch')}: "
        f"{1 / seconds_per_image:.1f} images/s on {devices}, {memory:.1f} GB of memory"
    )
    if contexts[0].device_type != "cpu" or seconds < LONG_SECONDS or keeps_features(config):
        return [line]
    speed = Speed(seconds_per_image, seconds_per_image * FORWARD_SHARE)
    lighter = [
        (setting, duration(less))
        for setting, less in _lighter_settings(config, speed, train_images, val_images)
        if less < CLEARLY_LESS * seconds
    ]
    lines = [f"  {setting:<48} about {time}" for setting, time in lighter]
    return [line, *(["Less time, from the beginning, with:"] if lines else []), *lines]


def trains_in_an_hour(name: str, pixels: int) -> bool:
    """Whether 2 cores fine-tune a network on the example, of so many pixels, in about an hour."""
    images = EXAMPLE_IMAGES * EXAMPLE_EPOCHS
    return images * relative_cost(name, pixels) / COST_PER_SECOND <= 3600


def _lighter_settings(
    config: Config, speed: Speed, train_images: int, val_images: int
) -> Iterator[tuple[str, float]]:
    """Settings that may take less time, and the estimated seconds of a whole training with each."""
    images = train_images, val_images, config.epochs
    on_features = config.changed({"trainable": "head"})
    # The features of random weights tell nothing.
    if config.model.pretrained and keeps_features(on_features):
        yield "trainable=head", training_seconds(on_features, speed, *images)
    name, crop = config.model.name, config.data.crop
    whole, cost = training_seconds(config, speed, *images), relative_cost(name, crop)
    for network in lighter_networks(name, crop)[:MOST_NETWORKS]:
        yield f"model.name={network.name}", whole * relative_cost(network.name, crop) / cost
    if crop > SMALL_INPUT["data.crop"]:
        setting = " ".join(f"{key}={value}" for key, value in SMALL_INPUT.items())
        yield setting, whole * (SMALL_INPUT["data.crop"] / crop) ** 2


def lighter_networks(model: str, crop: int) -> list[Network]:
    """The networks that cost clearly less for this crop and whose weights can be had.

    The most accurate ones come first.
    """
    # By its name, because the publishers' tables are MXNet's, which this module does not import.
    obtainable = pkgutil.resolve_name("fashionai.weights.availability:known_networks")
    limit = CLEARLY_LESS * relative_cost(model, crop)
    found: list[Network] = [each for each in obtainable() if relative_cost(each.name, crop) < limit]
    return [network for network in found if network != find_network(model)]


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
