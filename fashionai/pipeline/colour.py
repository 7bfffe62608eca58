"""What changes the pixels of a training view in place: colour, noise and erasing.

Views are ``(crop, crop, 3) uint8`` RGB. Consecutive steps of one kind are
composed before they are applied, so that values are rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import cv2
import numpy as np

from fashionai.config.augmentations import RandomErasing
from fashionai.pipeline.geometry import TRIES, happens, log_uniform

# Luma and the two chroma axes of NTSC (47 CFR 73.682), as Python's colorsys has them.
_LUMA = np.array([0.30, 0.59, 0.11])
RGB_TO_YIQ = np.array(
    [
        _LUMA,
        0.74 * (np.array([1, 0, 0]) - _LUMA) - 0.27 * (np.array([0, 0, 1]) - _LUMA),
        0.48 * (np.array([1, 0, 0]) - _LUMA) + 0.41 * (np.array([0, 0, 1]) - _LUMA),
    ]
)
YIQ_TO_RGB = np.linalg.inv(RGB_TO_YIQ)

# Principal components of ImageNet's RGB values in 0..1, as columns, and their eigenvalues, as
# published with the training code of AlexNet's successors (AlexNet's paper prints none).
COMPONENTS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
)
EIGENVALUES = np.array([0.2175, 0.0188, 0.0045])


class PixelSteps:
    """Applies steps in their order, consecutive ones of a kind together."""

    def __init__(self, steps: Sequence[Any]) -> None:
        self._groups = [(KINDS[kind], list(group)) for kind, group in groupby(steps, _kind)]

    def __call__(self, view: np.ndarray, rng: np.random.Generator) -> None:
        """Change ``view``, ``(crop, crop, 3) uint8`` RGB, in place."""
        for apply, steps in self._groups:
            drawn = [step for step in steps if happens(step.p, rng)]
            if drawn:
                apply(drawn, view, rng)


def _kind(step: Any) -> str:
    if step.name in KINDS:
        return str(step.name)
    return str(getattr(step, "space", "linear"))


def _apply_linear(steps: Sequence[Any], view: np.ndarray, rng: np.random.Generator) -> None:
    """Apply affine maps of RGB in 0..255 as one; out of range values become 0 or 255."""
    colours = np.eye(3, 4)
    for step in steps:
        if step.name == "contrast":
            colours = _contrast(step, view, colours, rng)
        else:
            change = CHANGES[step.name](step, rng)
            colours = change[:, :3] @ colours
            colours[:, 3] += change[:, 3]
    if np.count_nonzero(colours[:, :3]) > 3:
        cv2.transform(view, colours, dst=view)
    else:
        # No channel depends on another: OpenCV's transform is far slower here than tables.
        table = np.arange(256)[:, None] * colours.diagonal() + colours[:, 3]
        cv2.LUT(view, _to_bytes(table)[None], dst=view)


def _factor(amount: float, rng: np.random.Generator) -> float:
    return rng.uniform(1 - amount, 1 + amount)


def _brightness(step: Any, rng: np.random.Generator) -> np.ndarray:
    return np.eye(3, 4) * _factor(step.amount, rng)


def _contrast(
    step: Any, view: np.ndarray, colours: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Contrast after ``colours``: the mean grey is that of the view as they change it."""
    factor = _factor(step.amount, rng)
    mean = colours @ (*cv2.mean(view)[:3], 1)
    changed = factor * colours
    changed[:, 3] += (1 - factor) * (_LUMA @ mean)
    return changed


def _saturation(step: Any, rng: np.random.Generator) -> np.ndarray:
    factor = _factor(step.amount, rng)
    return _without_shift(factor * np.eye(3) + (1 - factor) * np.tile(_LUMA, (3, 1)))


def _hue(step: Any, rng: np.random.Generator) -> np.ndarray:
    """Turn the chroma plane; luma and greys stay."""
    angle = 2 * math.pi * rng.uniform(-step.amount, step.amount)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    return _without_shift(YIQ_TO_RGB @ turn @ RGB_TO_YIQ)


def _lighting(step: Any, rng: np.random.Generator) -> np.ndarray:
    shift = COMPONENTS @ (rng.normal(0, step.std, 3) * EIGENVALUES)
    return np.column_stack([np.eye(3), 255 * shift])


def _without_shift(matrix: np.ndarray) -> np.ndarray:
    return np.column_stack([matrix, np.zeros(3)])


CHANGES: dict[str, Callable[[Any, np.random.Generator], np.ndarray]] = {
    "brightness": _brightness,
    "saturation": _saturation,
    "hue": _hue,
    "lighting": _lighting,
}


def _apply_logit(steps: Sequence[Any], view: np.ndarray, rng: np.random.Generator) -> None:
    """Shift and scale ln(v / (1 - v)), as fastai v1 does; v is (value + 0.5) / 256.

    Brightness shifts by the logit of a number drawn from 0.5 -+ amount / 2,
    contrast scales by 1 - amount to its inverse, uniform in the logarithm.
    """
    scale, shift = 1.0, 0.0
    for step in steps:
        if step.name == "brightness":
            share = rng.uniform(0.5 * (1 - step.amount), 0.5 * (1 + step.amount))
            shift += math.log(share / (1 - share))
        else:
            factor = log_uniform(1 - step.amount, 1 / (1 - step.amount), rng)
            scale, shift = scale * factor, shift * factor
    value = (np.arange(256) + 0.5) / 256
    logit = scale * np.log(value / (1 - value)) + shift
    cv2.LUT(view, _to_bytes(256 / (1 + np.exp(-logit)) - 0.5), dst=view)


def _to_bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(values).clip(0, 255).astype(np.uint8)


def _add_noise(steps: Sequence[Any], view: np.ndarray, rng: np.random.Generator) -> None:
    for step in steps:
        noise = rng.standard_normal(view.shape, np.float32)
        noise *= 255 * step.std
        cv2.add(view, noise, dst=view, dtype=cv2.CV_8U)


def _erase(steps: Sequence[Any], view: np.ndarray, rng: np.random.Generator) -> None:
    for step in steps:
        height, width = _erased_size(step, len(view), rng)
        top = rng.integers(len(view) - height + 1)
        left = rng.integers(len(view) - width + 1)
        pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
        view[top : top + height, left : left + width] = pixels


def _erased_size(step: RandomErasing, side: int, rng: np.random.Generator) -> tuple[int, int]:
    """A uniform share of the area at an aspect ratio (height / width), uniform in its logarithm.

    Drawn until it fits, as in the paper; where none does, as much as fits of the last.
    """
    (smallest, largest), (low, high) = step.area, step.ratio
    for _ in range(TRIES):
        area = side * side * rng.uniform(smallest, largest)
        ratio = log_uniform(low, high, rng)
        height, width = round((area * ratio) ** 0.5), round((area / ratio) ** 0.5)
        if max(height, width) <= side:
            break
    return min(height, side), min(width, side)


KINDS: dict[str, Callable[[Sequence[Any], np.ndarray, np.random.Generator], None]] = {
    "linear": _apply_linear,
    "logit": _apply_logit,
    "noise": _add_noise,
    "random_erasing": _erase,
}
