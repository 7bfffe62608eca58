"""How long trials take: estimates of whole trainings, and the time of a network per image."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Optional

from fashionai.config import Config
from fashionai.datasets.prepared.samples import read_samples
from fashionai.training.speed.estimate import config_to_measure, duration, training_seconds
from fashionai.training.speed.step_speed import (
    MEASURED_SECONDS,
    measure_forward,
    measure_speed,
    open_random,
)

log = logging.getLogger(__name__)

# No network, and no crop, of the default space costs more than so many times the user's.
MOST_COST = 2.0
# With a time for all trials, each of them may cost so much that there are at least these.
FEWEST_TRIALS = 10


def cost_bound(seconds: Optional[float], estimate: Optional[float]) -> float:
    """How many times the cost of a configuration another network or crop may have, at least 1.

    ``seconds`` are for all trials together, of which one is estimated to take ``estimate``.
    """
    if seconds is None or estimate is None:
        return MOST_COST
    return max(1.0, min(MOST_COST, seconds / FEWEST_TRIALS / estimate))


def trial_seconds(config: Config, contexts: Sequence[Any], folds: Optional[int]) -> float:
    """The estimated seconds of a trial, by the measured speed of the network.

    A trial is one training with the prepared validation split, or one per fold.
    """
    speed = measure_speed(_whole_network(config), contexts)
    train, val = (len(read_samples(config, split, pseudo=True).paths) for split in ("train", "val"))
    if folds is not None:
        images, val = train + val, (train + val) // folds
        train = images - val
    return (folds or 1) * training_seconds(config, speed, train, val, config.epochs)


def warn_of_a_long_trial(seconds: Optional[float], estimate: Optional[float]) -> None:
    """Warn that the first trial, which is always trained whole, takes longer than --time."""
    if seconds is not None and estimate is not None and estimate > seconds:
        log.warning(
            "one trial is estimated to take %s, longer than --time %s; the first one is trained "
            "whole all the same. Fewer epochs, smaller crops and lighter networks take less time",
            duration(estimate),
            duration(seconds),
        )


def milliseconds_per_image(config: Config, contexts: Sequence[Any]) -> float:
    """The time of the network's forward pass per image, measured on these devices."""
    learner = open_random(config_to_measure(_whole_network(config)), contexts)
    return 1000 / measure_forward(learner, MEASURED_SECONDS)


def _whole_network(config: Config) -> Config:
    """The configuration whose whole network is measured, also where the output layer learns."""
    return config.changed({"trainable": "all"})
