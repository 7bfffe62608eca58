"""The optimizers' formulas as their papers write them, in NumPy: what the tests compare with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

# Rates and momenta change between steps, as schedules change them.
RATES = [0.1, 0.3, 0.05, 0.2, 0.2, 0.01]
MOMENTA = [0.9, 0.8, 0.95, 0.9, 0.7, 0.85]
SHAPE = (3, 4)
BATCH = 5

Formula = Callable[[np.ndarray, float], Iterator[np.ndarray]]


def gradient(step: int) -> np.ndarray:
    return np.random.default_rng((8, step)).normal(size=SHAPE)


def sgd(weight: np.ndarray, decay: float) -> Iterator[np.ndarray]:
    """Classical momentum (Sutskever et al. 2013, equations 1 and 2), decay in the gradient."""
    velocity = np.zeros(SHAPE)
    for step, (rate, mu) in enumerate(zip(RATES, MOMENTA)):
        velocity = mu * velocity - rate * (gradient(step) + decay * weight)
        weight = weight + velocity
        yield weight


def nag(weight: np.ndarray, decay: float) -> Iterator[np.ndarray]:
    """Nesterov momentum as Bengio et al. write it (arXiv:1212.0901, equation 7)."""
    velocity = np.zeros(SHAPE)
    for step, (rate, mu) in enumerate(zip(RATES, MOMENTA)):
        slope = gradient(step) + decay * weight
        velocity = mu * velocity - rate * slope
        weight = weight + mu * velocity - rate * slope
        yield weight


def adam_directions(beta2: float = 0.999, epsilon: float = 1e-8) -> Any:
    """A function of (step, slope) to Adam's direction (arXiv:1412.6980).

    In the order of computation that the paper gives at the end of its section 2,
    whose epsilon is not corrected.
    """
    m, v = np.zeros(SHAPE), np.zeros(SHAPE)

    def direction(step: int, slope: np.ndarray) -> np.ndarray:
        nonlocal m, v
        beta1 = MOMENTA[step]
        m = beta1 * m + (1 - beta1) * slope
        v = beta2 * v + (1 - beta2) * slope**2
        correction = np.sqrt(1 - beta2 ** (step + 1)) / (1 - beta1 ** (step + 1))
        return correction * m / (np.sqrt(v) + epsilon)

    return direction


def adam(weight: np.ndarray, decay: float) -> Iterator[np.ndarray]:
    direction = adam_directions()
    for step, rate in enumerate(RATES):
        weight = weight - rate * direction(step, gradient(step) + decay * weight)
        yield weight


def adamw(weight: np.ndarray, decay: float) -> Iterator[np.ndarray]:
    """The decay beside the direction, times the rate (arXiv:1711.05101, algorithm 2)."""
    direction = adam_directions()
    for step, rate in enumerate(RATES):
        weight = weight - rate * (direction(step, gradient(step)) + decay * weight)
        yield weight


FORMULAS: dict[str, Formula] = {"sgd": sgd, "nag": nag, "adam": adam, "adamw": adamw}
