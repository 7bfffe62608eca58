"""The speed of this project's training loop, and of its steps on one constant batch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gpu_check.kit import load_network, network_config, photo_samples
from gpu_check.plan import Measurement
from gpu_check.speed import StepTimer
from gpu_check.worker import Context

# Images of an epoch, which ends more rarely than a measurement.
IMAGES = 200_000
LR, MOMENTUM = 0.01, 0.9


class Constant:
    """Uploads that give the tensors of the first batch again, without copying anything."""

    def __init__(self, uploads: Any) -> None:
        self._uploads = uploads
        self._kept: dict[tuple[Any, ...], Any] = {}

    def copy(self, values: np.ndarray) -> Any:
        """A tensor of this shape and type that is on the device already."""
        key = (values.shape, values.dtype.str)
        if key not in self._kept:
            self._kept[key] = self._uploads.copy(values)
        return self._kept[key]

    def mixing(self, mixing: Any) -> None:
        """No mixing."""


def measure_ours(
    context: Context, wanted: Measurement, batch: int, seconds: float
) -> dict[str, Any]:
    """Speeds of the loop and of the constant batch, and the seconds of the first step."""
    from fashionai.pipeline.loader import PREFETCH
    from fashionai.training.torch.opening import open_torch

    plan = context.plan
    config = network_config(
        plan.network, plan.crop, batch, precision=wanted.precision, compile=wanted.compiled
    ).changed({"data.resize_short": plan.resize_short})
    photos = context.kit.photos
    samples = photo_samples(photos, max(batch, IMAGES if context.on_gpu else 2_000))
    description = load_network(context.kit, plan.network)
    learner = open_torch(config, samples, context.devices(), description)
    loop = StepTimer(_batches(learner), _steps(learner), learner.wait, batch)
    found: dict[str, Any] = {"first_step_seconds": loop.warm_up(PREFETCH)}
    found["fell_back"] = wanted.compiled and not learner._steps.works
    found["loop"] = loop.measure(seconds)
    any_batch = next(_batches(learner))
    learner._uploads = Constant(learner._uploads)
    constant = StepTimer(itertools.repeat(any_batch), _steps(learner), learner.wait, batch)
    constant.warm_up()
    found["constant"] = constant.measure(seconds)
    return found


def _batches(learner: Any) -> Iterator[Any]:
    for epoch in itertools.count():
        yield from learner.batches(epoch)


def _steps(learner: Any) -> Callable[[Any], Callable[[], Any]]:
    """Start steps that are numbered one after the other."""
    numbers = itertools.count()

    def step(batch: Any) -> Callable[[], Any]:
        read: Callable[[], Any] = learner.step(batch, 0, next(numbers), LR, MOMENTUM).read
        return read

    return step
