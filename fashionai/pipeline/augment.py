"""From a decoded image to views for the network: random in training, deterministic elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import cv2
import numpy as np

from fashionai.config import DataConfig
from fashionai.config.augmentations import RandomCrop, RandomResizedCrop, Step, Zoom
from fashionai.pipeline.augmentation.colour import PixelSteps
from fashionai.pipeline.augmentation.geometry import (
    draw_box,
    draw_homography,
    is_applied,
    is_geometric,
    sample_view,
)
from fashionai.pipeline.augmentation.policies import POLICIES
from fashionai.pipeline.crops import cut_views, resize_short


class Transform(Protocol):
    """Fills ``out``, ``(views, crop, crop, 3) uint8`` RGB, with views of a BGR image.

    ``decode_short`` is the short side in pixels to which an image may be reduced
    when it is decoded.
    """

    decode_short: int
    crop: int
    views: int

    def __call__(self, image: np.ndarray, rng: np.random.Generator, out: np.ndarray) -> None: ...


class EvaluationTransform:
    """Resizes the short side to ``resize_short`` pixels and takes 1, 5 or 10 crops."""

    def __init__(self, data: DataConfig, views: int = 1) -> None:
        self.resize_short = self.decode_short = data.short_side
        self.crop, self.views = data.crop, views

    def __call__(self, image: np.ndarray, rng: np.random.Generator, out: np.ndarray) -> None:
        """Fill ``out`` with the crops. ``rng`` is not used."""
        cut_views(resize_short(image, self.resize_short), out)


class TrainingTransform:
    """Makes one view per image, augmented by the steps of ``data.augment``.

    A step of strength zero draws no random numbers: removing it from the
    configuration changes no view.
    """

    views = 1

    def __init__(self, data: DataConfig) -> None:
        self.resize_short, self.crop = data.short_side, data.crop
        self._steps = [step for step in data.augment if not step.changes_nothing]
        self._crop_steps = [
            step for step in self._steps if isinstance(step, (RandomCrop, RandomResizedCrop))
        ]
        self.decode_short = _needed_short_side(data, self._steps)
        self._parts = None
        if not any(step.name in POLICIES for step in self._steps):
            self._parts = self._divide(self._steps)

    def __call__(self, image: np.ndarray, rng: np.random.Generator, out: np.ndarray) -> None:
        """Fill ``out`` with one view. Equal states of ``rng`` give equal views."""
        geometric, apply_pixel_steps = self._parts or self._divide(self._drawn(rng))
        box = draw_box(self._crop_steps, image.shape, self.resize_short, self.crop, rng)
        homography = draw_homography(geometric, rng)
        view = sample_view(image, box, homography, self.crop)
        cv2.cvtColor(view, cv2.COLOR_BGR2RGB, dst=out[0])
        apply_pixel_steps(out[0], rng)

    def _drawn(self, rng: np.random.Generator) -> list[Any]:
        """The steps with the operations that policies draw in their places."""
        steps: list[Any] = []
        for step in self._steps:
            if step.name not in POLICIES:
                steps.append(step)
            elif is_applied(step.p, rng):
                steps += POLICIES[step.name](step, self.crop, rng)
        return steps

    def _divide(self, steps: Sequence[Any]) -> tuple[list[Any], PixelSteps]:
        """The geometric steps, which are composed, and those that change pixels afterwards."""
        geometric = [step for step in steps if is_geometric(step)]
        others = [step for step in steps if step not in geometric + self._crop_steps]
        return geometric, PixelSteps(others)


def _needed_short_side(data: DataConfig, steps: Sequence[Step]) -> int:
    """The short side in pixels at which no view is upsampled.

    At the smallest crop and the largest zoom, the image then still has one pixel
    per pixel of the view.
    """
    short: float = data.short_side
    for step in steps:
        if isinstance(step, RandomResizedCrop):
            largest_ratio = max(step.ratio[1], 1 / step.ratio[0])
            short = max(short, data.crop * math.sqrt(largest_ratio / step.area[0]))
    zoom_factors = [step.factor[1] for step in steps if isinstance(step, Zoom)]
    return math.ceil(short * math.prod([max(1.0, factor) for factor in zoom_factors]))
