"""How near two computations of one network come to each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Of probabilities that should be the same but for rounding.
TOLERANCE = 1e-4


class Agreement(NamedTuple):
    """``top1`` is the share of images with the same most probable class of every task.

    ``difference`` is the largest of a probability, not a number where one is not.
    """

    top1: float
    difference: float


def agreement(first: np.ndarray, second: np.ndarray, columns: Sequence[slice]) -> Agreement:
    """Compare probabilities ``(N, C)``; ``columns`` are those of each task."""
    same = [first[:, part].argmax(axis=1) == second[:, part].argmax(axis=1) for part in columns]
    return Agreement(float(np.all(same, axis=0).mean()), float(np.abs(first - second).max()))


def noise_images(crop: int) -> np.ndarray:
    """Four images ``(4, crop, crop, 3) uint8`` of noise, a dark and a bright one among them."""
    images = np.random.default_rng(0).integers(0, 256, (4, crop, crop, 3)).astype(np.uint8)
    images[1] //= 4
    images[2] = 255 - images[2] // 4
    return images
