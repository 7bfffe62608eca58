"""The learning rate finder: the range test of arXiv:1506.01186, section 3.3."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

import numpy as np

from fashionai.config import Config
from fashionai.datasets.prepared.samples import read_samples
from fashionai.errors import ConfigError, TrainingError
from fashionai.pipeline.loader import Batch
from fashionai.progress import Advance, no_progress
from fashionai.training.learners.engine_choice import check_engine, resolve_engine
from fashionai.training.learners.learner import Learner
from fashionai.training.learners.opening import open_learner
from fashionai.training.steps.schedules import momentum

# The decay of the exponential moving average of losses.
SMOOTHING = 0.95
# The test ends when the smoothed loss exceeds its minimum by this factor.
DIVERGED = 4.0
# A range has two ends.
FEWEST_STEPS = 2
# Batches are noisy: a slope is fitted over this share of the steps on each side.
SLOPE_REACH = 0.08
# A mean of neighbouring losses must decrease by more than this multiple of its standard error.
CLEAR_DECREASE = 6.5


class RangeTest(NamedTuple):
    """Learning rates, losses and smoothed losses, each ``(S,) float64``, and the suggested rate."""

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
    """Train for ``steps`` steps at learning rates that grow exponentially from lowest to highest.

    The test ends early when the loss is not finite or the smoothed loss exceeds four times
    its minimum. The network is discarded: no file is written and no features are cached.

    Args:
        config: Configuration of the training.
        contexts: Devices, as ``fashionai.contexts`` gives them.
        lowest: Learning rate of the first step.
        highest: Learning rate of the last step.
        steps: Number of training steps, at least 2.
        progress: Called with 1 after each step.

    Returns:
        The rates, the losses and the suggested rate, which is None if the loss does not
        clearly decrease.

    Raises:
        ConfigError: Rates that are not 0 < lowest < highest, or fewer than 2 steps.
        TrainingError: The first loss, before any update, is not finite, or the framework fails.

    Example:
        >>> config = fashionai.load_config("skirt")
        >>> fashionai.find_learning_rate(config, fashionai.contexts()).suggestion
    """
    if not 0 < lowest < highest < math.inf:
        raise ConfigError(
            f"lowest {lowest:g}, highest {highest:g}: expected finite rates, 0 < lowest < highest"
        )
    if steps < FEWEST_STEPS:
        raise ConfigError(f"steps {steps}: expected at least {FEWEST_STEPS}")
    check_engine(config, contexts)
    config = config.in_phase(config.phases[-1]).changed({"ema": None})
    if config.engine == "auto":
        config = resolve_engine(config, steps * config.batch_size, contexts)
    train = read_samples(config, "train", pseudo=True)
    learner = open_learner(config, train, contexts, pixels_only=True).learner
    rates = lowest * (highest / lowest) ** (np.arange(steps) / (steps - 1))
    losses: list[float] = []
    with learner.clear_errors():
        for loss in _losses(learner, rates):
            losses.append(loss)
            smoothed = smooth(np.array(losses))
            if smoothed[-1] > DIVERGED * smoothed.min():
                break
            progress(1)
    tested, values = rates[: len(losses)], np.array(losses)
    return RangeTest(tested, values, smoothed, suggest(tested, values))


def _losses(learner: Learner, rates: np.ndarray) -> Iterator[float]:
    """Train one step per learning rate and yield the losses, until one is not finite."""
    first_momentum = momentum(learner.config, 0, learner.batch_plan.steps_per_epoch)
    for number, (lr, (epoch, step, batch)) in enumerate(zip(rates, _endless_batches(learner))):
        result = learner.step(batch, epoch, step, float(lr), first_momentum)
        loss = result.read()[0] / result.images
        if math.isfinite(loss):
            yield loss
        elif number == 0:
            raise TrainingError(
                f"the loss of the first batch is {loss}, before any update",
                "Check model.pretrained, data.mean and data.std",
            )
        else:
            return


def smooth(losses: np.ndarray) -> np.ndarray:
    """The exponential moving average of losses ``(S,)``, with bias correction as in Adam."""
    means = np.empty(len(losses))
    mean = 0.0
    for step, loss in enumerate(losses):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        means[step] = mean / (1 - SMOOTHING ** (step + 1))
    return means


def suggest(rates: np.ndarray, losses: np.ndarray) -> Optional[float]:
    """The learning rate at which the loss decreases fastest per logarithm of the rate.

    The slope at a step is that of a straight line fitted to the losses on both sides: a
    moving average would lag behind the rates. Only steps before the lowest loss count,
    because a loss that has diverged can decrease again. None when there are too few steps,
    or when the loss does not decrease by more than the noise between batches.
    """
    reach = max(2, round(len(rates) * SLOPE_REACH))
    centres = range(reach, len(rates) - reach)
    windows = [slice(centre - reach, centre + reach + 1) for centre in centres]
    if not windows:
        return None
    means = np.array([losses[window].mean() for window in windows])
    lowest = int(means.argmin())
    decrease = means[: lowest + 1].max() - means[lowest]
    # For normal noise, the median of |a - b| is 0.954 of the standard deviation.
    noise = np.median(np.abs(np.diff(losses[: windows[lowest].stop]))) / 0.954
    if decrease <= CLEAR_DECREASE * noise / math.sqrt(2 * reach + 1):
        return None
    falling = windows[: lowest + 1]
    slopes = [np.polyfit(np.log(rates[window]), losses[window], 1)[0] for window in falling]
    return float(rates[reach + int(np.argmin(slopes))]) if min(slopes) < 0 else None


def _endless_batches(learner: Learner) -> Iterator[tuple[int, int, Batch]]:
    """Yield epoch, step within the epoch, and batch, without end."""
    epoch = 0
    while True:
        for step, batch in enumerate(learner.batches(epoch)):
            yield epoch, step, batch
        epoch += 1
