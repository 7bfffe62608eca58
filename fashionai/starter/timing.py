"""The speed of a network on this machine, measured on a few images of the task."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from fashionai.config import Config
from fashionai.training.learners.engine_choice import faster_on_cpu
from fashionai.training.speed.estimate import MEASURED_BATCH, Speed
from fashionai.training.speed.step_speed import measure_speed

log = logging.getLogger(__name__)


def measure_network(
    task: str,
    folder: str,
    network: str,
    crop: int,
    images: int,
    contexts: Sequence[Any],
    engine: str = "auto",
) -> Speed:
    """The speed of a network with random weights, on some of the ``images`` of a task.

    On the CPU ``engine`` computes, where it is auto the one that long trainings take.
    """
    log.info("measuring the speed of %s for crops of %d pixels", network, crop)
    if contexts[0].device_type != "cpu":
        engine = "auto"
    elif engine == "auto":
        engine = faster_on_cpu(network)
    config = Config.model_validate(
        {
            "task": task,
            "data": {"folder": folder, "crop": crop},
            "model": {"name": network},
            "engine": engine,
            "batch_size": max(1, min(MEASURED_BATCH, images // len(contexts))),
        }
    )
    return measure_speed(config, contexts)
