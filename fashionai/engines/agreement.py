"""How closely two computations of the same network agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# The largest difference allowed between probabilities that are equal up to rounding.
TOLERANCE = 1e-4


class Agreement(NamedTuple):
    """How closely two arrays of probabilities agree.

    ``top1`` is the share of images, 0 to 1, for which both have the same most probable class in
    every task. ``difference`` is the largest absolute difference of a probability; it is NaN when
    a probability is NaN.
    """

    top1: float
    difference: float


def agreement(first: np.ndarray, second: np.ndarray, columns: Sequence[slice]) -> Agreement:
    """Compare two arrays of probabilities ``(N, C)``; ``columns`` holds each task's columns."""
    same = [first[:, part].argmax(axis=1) == second[:, part].argmax(axis=1) for part in columns]
    return Agreement(float(np.all(same, axis=0).mean()), float(np.abs(first - second).max()))


def noise_images(crop: int) -> np.ndarray:
    """Four images of noise ``(4, crop, crop, 3) uint8``: the second is dark, the third bright."""
    images = np.random.default_rng(0).integers(0, 256, (4, crop, crop, 3)).astype(np.uint8)
    images[1] //= 4
    images[2] = 255 - images[2] // 4
    return images
