"""Mixing the images of a batch with each other: mixup and cutmix."""

from __future__ import annotations

from typing import NamedTuple, Optional

import numpy as np

from fashionai.config.models import LossConfig


class Mixing(NamedTuple):
    """How a batch ``x`` is mixed: row i with row ``order[i]``, all rows alike.

    Images become ``weights * x + (1 - weights) * x[order]``, targets
    ``share * y + (1 - share) * y[order]``. ``order`` is ``(B,) int64``, a
    permutation; ``weights`` is ``(1, 1, side, side) float32`` in 0..1; ``share``
    is the mean of the weights.
    """

    order: np.ndarray
    weights: np.ndarray
    share: float


def draw_mixing(
    loss: LossConfig, rows: int, side: int, rng: np.random.Generator
) -> Optional[Mixing]:
    """Draw one mixing for a batch of ``rows`` images of ``side`` x ``side`` pixels.

    None when ``loss`` has neither mixup nor cutmix; with both, each is drawn as often.
    """
    if not loss.mixup and not loss.cutmix:
        return None
    cutmix = bool(loss.cutmix) and (not loss.mixup or rng.random() < 0.5)
    order = rng.permutation(rows)
    if cutmix:
        weights = _all_but_a_box(rng.beta(loss.cutmix, loss.cutmix), side, rng)
        return Mixing(order, weights, float(weights.mean(dtype=np.float64)))
    share = np.float32(rng.beta(loss.mixup, loss.mixup))
    return Mixing(order, np.full((1, 1, side, side), share), float(share))


def _all_but_a_box(share: float, side: int, rng: np.random.Generator) -> np.ndarray:
    """Ones with a square of zeros of area 1 - ``share``; what lies outside is cut off."""
    half = side * (1 - share) ** 0.5 / 2
    centre = rng.uniform(0, side, 2)
    top, left = np.rint(centre - half).clip(0, side).astype(int)
    bottom, right = np.rint(centre + half).clip(0, side).astype(int)
    weights = np.ones((1, 1, side, side), np.float32)
    weights[:, :, top:bottom, left:right] = 0
    return weights
