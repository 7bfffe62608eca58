"""How long trials take: estimates of whole trainings, and the time of a network per image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from fashionai.config import Config
from fashionai.datasets.prepared.samples import read_samples
from fashionai.training.speed.estimate import config_to_measure, training_seconds
from fashionai.training.speed.step_speed import (
    MEASURED_SECONDS,
    measure_forward,
    measure_speed,
    open_random,
)

# No trial of the default space costs more than so many times the user's configuration.
MOST_COST = 2.0
# With a time for all trials, each may cost so much that there are at least these.
FEWEST_TRIALS = 10


def cost_bound(config: Config, seconds: Optional[float], contexts: Sequence[Any]) -> float:
    """How many times the cost of a configuration a trial may have, at least 1.

    ``seconds`` are for all trials together; where they are given, the speed of the network is
    measured.
    """
    if seconds is None:
        return MOST_COST
    return max(1.0, min(MOST_COST, seconds / FEWEST_TRIALS / _training_seconds(config, contexts)))


def milliseconds_per_image(config: Config, contexts: Sequence[Any]) -> float:
    """The time of the network's forward pass per image, measured on these devices."""
    learner = open_random(config_to_measure(_whole_network(config)), contexts)
    return 1000 / measure_forward(learner, MEASURED_SECONDS)


def _training_seconds(config: Config, contexts: Sequence[Any]) -> float:
    """The estimated seconds of a training."""
    speed = measure_speed(_whole_network(config), contexts)
    train, val = (len(read_samples(config, split, pseudo=True).paths) for split in ("train", "val"))
    return training_seconds(config, speed, train, val, config.epochs)


def _whole_network(config: Config) -> Config:
    """The configuration whose whole network is measured, also where the output layer learns."""
    return config.changed({"trainable": "all"})
