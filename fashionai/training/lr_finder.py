"""The learning rate range test (arXiv:1506.01186, section 3.3)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

import numpy as np

from fashionai.config import Config
from fashionai.datasets.prepared.samples import read_samples
from fashionai.errors import TrainingError
from fashionai.models.mixed_precision import check_precision
from fashionai.pipeline.loader import Batch
from fashionai.progress import Advance, no_progress
from fashionai.training.gluon.inputs import PixelInputs
from fashionai.training.gluon.learner import Learner
from fashionai.training.schedules import momentum
from fashionai.weights.pretrained import starting_weights

# The running mean keeps this share of itself; a loss of so many times the best has diverged.
SMOOTHING = 0.95
DIVERGED = 4.0
# Batches are noisy: slopes are fitted over this share of the steps to either side.
SLOPE_REACH = 0.08
# The mean of so many neighbours has to fall by more than this multiple of its standard error.
CLEAR_FALL = 6.5


class RangeTest(NamedTuple):
    """Rates, losses and smoothed losses, ``(S,) float64`` each, and the suggested rate, if any."""

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    suggestion: Optional[float]


def find_learning_rate(
    config: Config,
    contexts: list[Any],
    *,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 100,
    progress: Advance = no_progress,
) -> RangeTest:
    """Train for ``steps`` steps at rates that grow exponentially from lowest to highest.

    Ends before when the loss is not finite or, smoothed, exceeds four times its
    best. The network is thrown away: no file is written, and no features are kept.
    Raises TrainingError when the first loss, that of the untouched network, is not
    finite.
    """
    check_precision(config.precision, contexts)
    weights = starting_weights(config)
    config = config.with_input(weights.mean, weights.std).changed({"ema": None})
    rows = read_samples(config, "train")
    learner = Learner(config, rows, contexts, weights.file, inputs=PixelInputs)
    first_momentum = momentum(config, 0, learner.order.steps_per_epoch)
    rates = lowest * (highest / lowest) ** (np.arange(steps) / (steps - 1))
    losses: list[float] = []
    for lr, (epoch, step, batch) in zip(rates, _endless_batches(learner)):
        result = learner.step(batch, epoch, step, float(lr), first_momentum)
        loss = learner.read(result)[0] / len(batch.rows)
        if not math.isfinite(loss):
            if not losses:
                raise TrainingError(
                    f"the loss of the first batch is {loss}, before any step was made",
                    "Look after model.pretrained, data.mean and data.std",
                )
            break
        losses.append(loss)
        smoothed = smooth(np.array(losses))
        if smoothed[-1] > DIVERGED * smoothed.min():
            break
        progress(1)
    made, values = rates[: len(losses)], np.array(losses)
    return RangeTest(made, values, smoothed, suggest(made, values))


def smooth(losses: np.ndarray) -> np.ndarray:
    """The exponentially weighted mean of the losses so far, free of the bias of its start."""
    means = np.empty(len(losses))
    mean = 0.0
    for step, loss in enumerate(losses):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        means[step] = mean / (1 - SMOOTHING ** (step + 1))
    return means


def suggest(rates: np.ndarray, losses: np.ndarray) -> Optional[float]:
    """The rate at which the loss falls steepest over the logarithm of the rate.

    The slope at a step is that of a straight line fitted to its neighbours on
    both sides: a running mean would lag behind the rates. Only steps before the
    lowest loss count: a loss that has exploded falls again, too. None when it
    falls nowhere or by less than batches differ, or there are too few steps.
    """
    reach = max(2, round(len(rates) * SLOPE_REACH))
    windows = [slice(at - reach, at + reach + 1) for at in range(reach, len(rates) - reach)]
    if not windows:
        return None
    means = np.array([losses[window].mean() for window in windows])
    lowest = int(means.argmin())
    fall = means[: lowest + 1].max() - means[lowest]
    # For normal noise: the median of |a - b| is 0.954 of the standard deviation.
    noise = np.median(np.abs(np.diff(losses[: windows[lowest].stop]))) / 0.954
    if fall <= CLEAR_FALL * noise / math.sqrt(2 * reach + 1):
        return None
    falling = windows[: lowest + 1]
    slopes = [np.polyfit(np.log(rates[window]), losses[window], 1)[0] for window in falling]
    return float(rates[reach + int(np.argmin(slopes))]) if min(slopes) < 0 else None


def _endless_batches(learner: Learner) -> Iterator[tuple[int, int, Batch]]:
    """Epoch, step within it and batch, epoch after epoch."""
    epoch = 0
    while True:
        for step, batch in enumerate(learner.batches(epoch)):
            yield epoch, step, batch
        epoch += 1
