"""Images whose content is known, and views of them as training sees them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from fashionai.config import DataConfig
from fashionai.pipeline.augment import TrainingTransform


def coordinates(height: int, width: int) -> np.ndarray:
    """BGR with the row in blue and the column in red."""
    image = np.full((height, width, 3), 99, np.uint8)
    image[:, :, 0] = np.arange(height)[:, None]
    image[:, :, 2] = np.arange(width)[None]
    return image


def photograph(height: int, width: int) -> np.ndarray:
    coarse = np.random.default_rng(height + width).integers(0, 256, (5, 6, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)


def view(image: np.ndarray, data: DataConfig, seed: int = 0, transform=None) -> np.ndarray:
    out = np.zeros((1, data.crop, data.crop, 3), np.uint8)
    (transform or TrainingTransform(data))(image, np.random.default_rng(seed), out)
    return out[0]


def augmented(image: np.ndarray, crop: int, steps: list[Any], seed: int = 0) -> np.ndarray:
    """A view of ``crop`` pixels of an image whose short side is not resized."""
    short = min(image.shape[:2])
    return view(image, DataConfig(resize_short=short, crop=crop, augment=steps), seed)


def draw_image(class_index: int, rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A noisy image whose colour tells its class: easy to learn in seconds."""
    height, width = size
    hue = np.full((height, width), class_index * 28 % 180, np.uint8)
    rest = rng.integers(150, 256, (height, width, 2), dtype=np.uint8)
    return cv2.cvtColor(np.dstack([hue, rest]), cv2.COLOR_HSV2BGR)


def encode(
    class_index: int, rng: np.random.Generator, suffix: str = ".jpg", side: int = 16
) -> bytes:
    """A tiny image of a class, encoded as the suffix says."""
    done, data = cv2.imencode(suffix, draw_image(class_index, rng, (side, side)))
    assert done
    return data.tobytes()
