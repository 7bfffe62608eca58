"""The operations that RandAugment, TrivialAugment and AugMix draw from, each of a given amount.

Geometric ones are homographies, see fashionai.pipeline.augmentation.geometry; the others change
pixels as Pillow's ImageOps and ImageEnhance do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

# ITU-R BT.601, as Pillow converts to greys.
LUMA = np.array([0.299, 0.587, 0.114])
# Pillow's SMOOTH filter.
SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13
IDENTITY_KERNEL = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]])


class Operation(NamedTuple):
    """A key of GEOMETRIC or PIXELS with its amount; stands where a step of the augmentation does.

    Its name may be that of a step, which draws its amount itself.
    """

    name: str
    amount: float

    @property
    def p(self) -> float:
        """Its probability: whether it is applied was drawn already."""
        return 1.0


def _shear_x(amount: float) -> np.ndarray:
    """About the top left corner, as in AutoAugment: a point is moved by ``amount`` times its y."""
    return np.array([[1, amount, amount], [0, 1, 0], [0, 0, 1]])


def _shear_y(amount: float) -> np.ndarray:
    return np.array([[1, 0, 0], [amount, 1, amount], [0, 0, 1]])


def _translate_x(amount: float) -> np.ndarray:
    """By ``amount`` sides of the view."""
    return np.array([[1, 0, 2 * amount], [0, 1, 0], [0, 0, 1]])


def _translate_y(amount: float) -> np.ndarray:
    return np.array([[1, 0, 0], [0, 1, 2 * amount], [0, 0, 1]])


def rotation(degrees: float) -> np.ndarray:
    """A turn about the centre: a matrix ``(3, 3) float64`` of square coordinates."""
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


# From an amount to a matrix ``(3, 3) float64`` of square coordinates.
GEOMETRIC: dict[str, Callable[[float], np.ndarray]] = {
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "translate_x": _translate_x,
    "translate_y": _translate_y,
    "rotate": rotation,
}


# Functions below change ``view``, ``(H, W, 3) uint8`` RGB, in place.


def apply_operations(operations: Sequence[Any], view: np.ndarray, rng: Any = None) -> None:
    """Apply operations of PIXELS one after the other. ``rng`` is not used."""
    for operation in operations:
        PIXELS[operation.name](view, operation.amount)


def _change_brightness(view: np.ndarray, amount: float) -> None:
    _look_up(view, (1 + amount) * np.arange(256))


def _change_contrast(view: np.ndarray, amount: float) -> None:
    grey = round(float(LUMA @ cv2.mean(view)[:3]))
    _look_up(view, (1 + amount) * np.arange(256) - amount * grey)


def _change_saturation(view: np.ndarray, amount: float) -> None:
    cv2.transform(view, (1 + amount) * np.eye(3) - amount * np.tile(LUMA, (3, 1)), dst=view)


def _sharpen(view: np.ndarray, amount: float) -> None:
    """Blend with the smoothed image; the outermost pixels stay as they are."""
    kernel = (1 + amount) * IDENTITY_KERNEL - amount * SMOOTH
    view[1:-1, 1:-1] = cv2.filter2D(view, -1, kernel)[1:-1, 1:-1]


def _posterize(view: np.ndarray, bits: float) -> None:
    """Keep the highest bits of each value."""
    np.bitwise_and(view, 256 - 2 ** (8 - round(bits)), out=view, casting="unsafe")


def _solarize(view: np.ndarray, threshold: float) -> None:
    """Invert values of at least ``threshold``."""
    values = np.arange(256)
    _look_up(view, np.where(values < threshold, values, 255 - values))


def _stretch(view: np.ndarray, _: float) -> None:
    """Let the values of each channel range from 0 to 255."""
    extremes = [cv2.minMaxLoc(channel)[:2] for channel in cv2.split(view)]
    low, high = np.array(extremes).T
    scale = np.where(high > low, 255 / np.maximum(high - low, 1), 1.0)
    offset = np.where(high > low, -low * scale, 0.0)
    # Cut off, not rounded, as Pillow does.
    _look_up(view, np.floor(np.arange(256)[:, None] * scale + offset))


def _equalize(view: np.ndarray, _: float) -> None:
    """Make all values of each channel about equally frequent, with Pillow's arithmetic."""
    table = np.empty((256, 3))
    for channel, values in enumerate(cv2.split(view)):
        counts = cv2.calcHist([values], [0], None, [256], [0, 256]).ravel().astype(np.int64)
        step = (counts.sum() - counts[np.flatnonzero(counts)[-1]]) // 255
        before = np.cumsum(counts) - counts
        table[:, channel] = (before + step // 2) // step if step else np.arange(256)
    _look_up(view, table)


def _look_up(view: np.ndarray, table: np.ndarray) -> None:
    """Replace values by those of a table ``(256,)`` or, by channel, ``(256, 3)``."""
    rounded = np.rint(table).clip(0, 255).astype(np.uint8)
    cv2.LUT(view, rounded if rounded.ndim == 1 else rounded[None], dst=view)


PIXELS: dict[str, Callable[[np.ndarray, float], None]] = {
    "identity": lambda view, amount: None,
    "brightness": _change_brightness,
    "saturation": _change_saturation,
    "contrast": _change_contrast,
    "sharpness": _sharpen,
    "posterize": _posterize,
    "solarize": _solarize,
    "autocontrast": _stretch,
    "equalize": _equalize,
}
