"""Mixing the images of a batch with each other: mixup and CutMix.

Sources: mixup, arXiv:1710.09412; CutMix, arXiv:1905.04899.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

import numpy as np

from fashionai.config.sections import LossConfig


class Mixing(NamedTuple):
    """How a batch is mixed: sample i with sample ``partners[i]``, all with the same weights.

    Images become ``weights * x + (1 - weights) * x[partners]``, targets
    ``share * y + (1 - share) * y[partners]``. ``partners`` is a permutation
    ``(B,) int64``; ``weights`` is ``(1, 1, side, side) float32`` in [0, 1];
    ``share`` is the mean of the weights.
    """

    partners: np.ndarray
    weights: np.ndarray
    share: float


def draw_mixing(
    loss: LossConfig, rows: int, side: int, rng: np.random.Generator
) -> Optional[Mixing]:
    """Draw the mixing of a batch of ``rows`` images of ``side`` x ``side`` pixels.

    Returns None if ``loss`` enables neither mixup nor CutMix. If it enables both,
    each is chosen with probability 0.5.
    """
    if not loss.mixup and not loss.cutmix:
        return None
    cutmix = bool(loss.cutmix) and (not loss.mixup or rng.random() < 0.5)
    partners = rng.permutation(rows)
    if cutmix:
        weights = _cutmix_weights(rng.beta(loss.cutmix, loss.cutmix), side, rng)
        return Mixing(partners, weights, float(weights.mean(dtype=np.float64)))
    share = np.float32(rng.beta(loss.mixup, loss.mixup))
    return Mixing(partners, np.full((1, 1, side, side), share), float(share))


def _cutmix_weights(share: float, side: int, rng: np.random.Generator) -> np.ndarray:
    """Weights ``(1, 1, side, side) float32``: 0 in a square of area 1 - ``share``, else 1.

    The centre of the square is uniform in the image; its part outside is clipped.
    """
    half = side * (1 - share) ** 0.5 / 2
    centre = rng.uniform(0, side, 2)
    top, left = np.rint(centre - half).clip(0, side).astype(int)
    bottom, right = np.rint(centre + half).clip(0, side).astype(int)
    weights = np.ones((1, 1, side, side), np.float32)
    weights[:, :, top:bottom, left:right] = 0
    return weights
