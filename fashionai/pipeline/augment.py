"""From a decoded image to what the network sees: with chance in training, without elsewhere."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

from fashionai.config import DataConfig
from fashionai.config.augmentations import Mirror, RandomCrop
from fashionai.pipeline.crops import cut_views, resize, resize_short


class Transform(Protocol):
    """Fills ``out``, ``(V, crop, crop, 3) uint8`` RGB, with the views of a BGR image."""

    resize_short: int
    crop: int
    views: int

    def __call__(self, image: np.ndarray, rng: np.random.Generator, out: np.ndarray) -> None: ...


class EvaluationTransform:
    """Short side to ``resize_short``, then 1, 5 or 10 crops; nothing is random."""

    def __init__(self, data: DataConfig, views: int = 1) -> None:
        self.resize_short, self.crop, self.views = data.resize_short, data.crop, views

    def __call__(self, image: np.ndarray, rng: np.random.Generator, out: np.ndarray) -> None:
        """Fill ``out`` with the crops; ``rng`` is not used."""
        cut_views(resize_short(image, self.resize_short), out)


class TrainingTransform:
    """One view, augmented by the steps of ``data.augment``."""

    views = 1

    def __init__(self, data: DataConfig) -> None:
        self.resize_short, self.crop = data.resize_short, data.crop
        self._random_crop = any(isinstance(step, RandomCrop) for step in data.augment)
        self._mirror_steps = [step for step in data.augment if isinstance(step, Mirror)]

    def __call__(self, image: np.ndarray, rng: np.random.Generator, out: np.ndarray) -> None:
        """Fill ``out`` with one view; equal generators give equal views."""
        view = self._cut(image, rng)
        for step in self._mirror_steps:
            if rng.random() < step.p:
                view = cv2.flip(view, 1)
        cv2.cvtColor(view, cv2.COLOR_BGR2RGB, dst=out[0])

    def _cut(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The crop at its final size, cut before it is resized: fewer pixels to resize."""
        height, width = image.shape[:2]
        scale = min(height, width) / self.resize_short
        # Room for the crop in pixels of the resized image, as evaluation rounds them.
        room_y = max(self.resize_short, round(height / scale)) - self.crop
        room_x = max(self.resize_short, round(width / scale)) - self.crop
        if self._random_crop:
            y, x = int(rng.integers(room_y + 1)), int(rng.integers(room_x + 1))
        else:
            y, x = room_y // 2, room_x // 2
        size = max(1, min(round(self.crop * scale), height, width))
        top = min(round(y * scale), height - size)
        left = min(round(x * scale), width - size)
        square = image[top : top + size, left : left + size]
        return square if size == self.crop else resize(square, (self.crop, self.crop))
