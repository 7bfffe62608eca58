"""How long training steps and forward passes take on this machine."""

from __future__ import annotations

import gc
import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fashionai.config import Config
from fashionai.datasets.prepared.samples import read_samples
from fashionai.pipeline.loader import Batch
from fashionai.training.learners.learner import Learner
from fashionai.training.learners.opening import open_learner
from fashionai.training.speed.estimate import Speed, config_to_measure

# Seconds for each of two measurements. A busy machine makes single steps slow by chance.
MEASURED_SECONDS = 2.0
STEPS_PER_MEASUREMENT = 2
MIN_MEASUREMENTS = 3


def images_per_second(seconds: float, run: Callable[[], int]) -> float:
    """The median over calls of ``run``, which returns its number of images.

    The first call warms up. Calls are repeated for ``seconds``, and at least
    MIN_MEASUREMENTS times.
    """
    run()
    speeds: list[float] = []
    begin = time.perf_counter()
    while len(speeds) < MIN_MEASUREMENTS or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        images = run()
        speeds.append(images / (time.perf_counter() - start))
    return statistics.median(speeds)


def open_random(config: Config, contexts: Sequence[Any]) -> Learner:
    """A learner with random weights in place of pretrained ones."""
    gc.collect()  # Gluon's blocks refer to each other: this frees those of the last measurement.
    train = read_samples(config, "train", pseudo=True)
    return open_learner(config, train, contexts, resuming=True).learner


def measure_steps(learner: Learner, seconds: float) -> float:
    """Images per second of training steps. Raises TrainingError where the framework fails."""
    constant = itertools.repeat(next(learner.batches(0)))
    return _measure_steps(learner, seconds, constant, STEPS_PER_MEASUREMENT)


def measure_epochs(learner: Learner) -> float:
    """Images per second from files to updated weights, of single steps; errors as for
    measure_steps.
    """
    epochs = map(learner.batches, itertools.count())
    return _measure_steps(learner, 0, itertools.chain.from_iterable(epochs), 1)


def _measure_steps(learner: Learner, seconds: float, batches: Iterator[Batch], steps: int) -> float:
    optimizer = learner.config.optimizer

    def run() -> int:
        images = 0
        for step, batch in enumerate(itertools.islice(batches, steps)):
            result = learner.step(batch, 0, step, optimizer.lr, optimizer.momentum)
            images += len(batch.rows)
        result.read()
        learner.wait()
        return images

    with learner.clear_errors():
        return images_per_second(seconds, run)


def measure_speed(config: Config, contexts: Sequence[Any]) -> Speed:
    """The speed of a configuration's network on its images, from random weights."""
    learner = open_random(config_to_measure(config), contexts)
    forward = measure_forward(learner, MEASURED_SECONDS)
    return Speed(1 / measure_steps(learner, MEASURED_SECONDS), 1 / forward)


def measure_forward(learner: Learner, seconds: float) -> float:
    """Images per second of forward passes in evaluation; errors as for measure_steps."""
    batch = next(learner.batches(0))

    def forward() -> int:
        learner.probabilities([batch.images])
        return len(batch.rows)

    with learner.clear_errors():
        return images_per_second(seconds, forward)
