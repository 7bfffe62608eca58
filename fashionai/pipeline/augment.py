"""From a decoded image to what the network sees: with chance in training, without elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np

from fashionai.config import DataConfig
from fashionai.config.augmentations import RandomCrop, RandomResizedCrop, Step, Zoom
from fashionai.pipeline.colour import PixelSteps
from fashionai.pipeline.crops import cut_views, resize_short
from fashionai.pipeline.geometry import MOTIONS, draw_box, draw_motion, sample


class Transform(Protocol):
    """Fills ``out``, ``(V, crop, crop, 3) uint8`` RGB, with the views of a BGR image.

    ``decode_short`` is the short side, in pixels, that the image needs at least.
    """

    decode_short: int
    crop: int
    views: int

    def __call__(self, image: np.ndarray, rng: np.random.Generator, out: np.ndarray) -> None: ...


class EvaluationTransform:
    """Short side to ``resize_short``, then 1, 5 or 10 crops; nothing is random."""

    def __init__(self, data: DataConfig, views: int = 1) -> None:
        self.resize_short = self.decode_short = data.resize_short
        self.crop, self.views = data.crop, views

    def __call__(self, image: np.ndarray, rng: np.random.Generator, out: np.ndarray) -> None:
        """Fill ``out`` with the crops; ``rng`` is not used."""
        cut_views(resize_short(image, self.resize_short), out)


class TrainingTransform:
    """One view, augmented by the steps of ``data.augment``.

    Steps without strength take no draws: with them or without, views are the
    same bit for bit.
    """

    views = 1

    def __init__(self, data: DataConfig) -> None:
        self.resize_short, self.crop = data.resize_short, data.crop
        steps = [step for step in data.augment if not step.changes_nothing]
        self._crops = [step for step in steps if isinstance(step, (RandomCrop, RandomResizedCrop))]
        self._motions = [step for step in steps if step.name in MOTIONS]
        self.decode_short = _needed_short_side(data, steps)
        others = [step for step in steps if step not in self._crops + self._motions]
        self._change_pixels = PixelSteps(others)

    def __call__(self, image: np.ndarray, rng: np.random.Generator, out: np.ndarray) -> None:
        """Fill ``out`` with one view; equal generators give equal views."""
        box = draw_box(self._crops, image.shape, self.resize_short, self.crop, rng)
        motion = draw_motion(self._motions, rng)
        view = sample(image, box, motion, self.crop)
        cv2.cvtColor(view, cv2.COLOR_BGR2RGB, dst=out[0])
        self._change_pixels(out[0], rng)


def _needed_short_side(data: DataConfig, steps: Sequence[Step]) -> int:
    """The short side at which the smallest crop, enlarged most, still has a pixel for each."""
    short: float = data.resize_short
    for step in steps:
        if isinstance(step, RandomResizedCrop):
            widest = max(step.ratio[1], 1 / step.ratio[0])
            short = max(short, data.crop * math.sqrt(widest / step.area[0]))
    factors = [step.factor[1] for step in steps if isinstance(step, Zoom)]
    return math.ceil(short * math.prod([max(1.0, factor) for factor in factors]))
