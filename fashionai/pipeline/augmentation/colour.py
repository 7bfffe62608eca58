"""Augmentation steps that change pixel values in place: colour, noise and erasing.

Views are ``(crop, crop, 3) uint8`` RGB. Consecutive steps of one kind are
composed before they are applied, so that values are rounded only once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import cv2
import numpy as np

from fashionai.config.augmentations import RandomErasing
from fashionai.pipeline.augmentation.geometry import TRIES, is_applied, log_uniform
from fashionai.pipeline.augmentation.operations import Operation, apply_operations
from fashionai.pipeline.augmentation.policies import mix_chains

# Luma and the two chroma axes of NTSC (47 CFR 73.682), with the coefficients of Python's colorsys.
_LUMA = np.array([0.30, 0.59, 0.11])
RGB_TO_YIQ = np.array(
    [
        _LUMA,
        0.74 * (np.array([1, 0, 0]) - _LUMA) - 0.27 * (np.array([0, 0, 1]) - _LUMA),
        0.48 * (np.array([1, 0, 0]) - _LUMA) + 0.41 * (np.array([0, 0, 1]) - _LUMA),
    ]
)
YIQ_TO_RGB = np.linalg.inv(RGB_TO_YIQ)

# Principal components of ImageNet's RGB values in [0, 1], as columns, and their eigenvalues. The
# AlexNet paper, which introduced this augmentation, does not print them; these are the numbers
# of fb.resnet.torch and mxnet.image.CreateAugmenter.
PRINCIPAL_COMPONENTS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
)
EIGENVALUES = np.array([0.2175, 0.0188, 0.0045])


class PixelSteps:
    """Applies steps in their order; consecutive steps of one kind are applied together."""

    def __init__(self, steps: Sequence[Any]) -> None:
        self._groups = [
            (APPLY_FUNCTIONS[kind], list(group)) for kind, group in groupby(steps, _kind)
        ]

    def __call__(self, view: np.ndarray, rng: np.random.Generator) -> None:
        """Change ``view``, ``(crop, crop, 3) uint8`` RGB, in place."""
        for apply, steps in self._groups:
            applied = [step for step in steps if is_applied(step.p, rng)]
            if applied:
                apply(applied, view, rng)


def _kind(step: Any) -> str:
    """The key of a step in APPLY_FUNCTIONS."""
    if isinstance(step, Operation):
        return "operations"
    if step.name in APPLY_FUNCTIONS:
        return str(step.name)
    return str(getattr(step, "space", "linear"))


def _apply_linear(steps: Sequence[Any], view: np.ndarray, rng: np.random.Generator) -> None:
    """Compose affine maps of RGB values in [0, 255] and apply them; results are clipped."""
    matrix = np.eye(3, 4)
    for step in steps:
        if step.name == "contrast":
            matrix = _add_contrast(step, view, matrix, rng)
        else:
            step_matrix = COLOUR_MATRICES[step.name](step, rng)
            matrix = step_matrix[:, :3] @ matrix
            matrix[:, 3] += step_matrix[:, 3]
    if np.count_nonzero(matrix[:, :3]) > 3:
        cv2.transform(view, matrix, dst=view)
    else:
        # No channel depends on another: a lookup table is far faster than cv2.transform.
        table = np.arange(256)[:, None] * matrix.diagonal() + matrix[:, 3]
        cv2.LUT(view, _to_bytes(table)[None], dst=view)


# Functions below that return a matrix give ``(3, 4) float64``: a linear map of RGB and an offset.


def _factor(amount: float, rng: np.random.Generator) -> float:
    return rng.uniform(1 - amount, 1 + amount)


def _brightness(step: Any, rng: np.random.Generator) -> np.ndarray:
    return np.eye(3, 4) * _factor(step.amount, rng)


def _add_contrast(
    step: Any, view: np.ndarray, matrix: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """``matrix`` followed by a change of contrast about the mean grey of its result."""
    factor = _factor(step.amount, rng)
    mean = matrix @ (*cv2.mean(view)[:3], 1)
    composed = factor * matrix
    composed[:, 3] += (1 - factor) * (_LUMA @ mean)
    return composed


def _saturation(step: Any, rng: np.random.Generator) -> np.ndarray:
    factor = _factor(step.amount, rng)
    return _without_offset(factor * np.eye(3) + (1 - factor) * np.tile(_LUMA, (3, 1)))


def _hue(step: Any, rng: np.random.Generator) -> np.ndarray:
    """A rotation of the chroma plane, which leaves luma and greys unchanged."""
    angle = 2 * math.pi * rng.uniform(-step.amount, step.amount)
    cos, sin = math.cos(angle), math.sin(angle)
    rotation = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    return _without_offset(YIQ_TO_RGB @ rotation @ RGB_TO_YIQ)


def _lighting(step: Any, rng: np.random.Generator) -> np.ndarray:
    offset = PRINCIPAL_COMPONENTS @ (rng.normal(0, step.std, 3) * EIGENVALUES)
    return np.column_stack([np.eye(3), 255 * offset])


def _without_offset(matrix: np.ndarray) -> np.ndarray:
    return np.column_stack([matrix, np.zeros(3)])


COLOUR_MATRICES: dict[str, Callable[[Any, np.random.Generator], np.ndarray]] = {
    "brightness": _brightness,
    "saturation": _saturation,
    "hue": _hue,
    "lighting": _lighting,
}


def _apply_logit(steps: Sequence[Any], view: np.ndarray, rng: np.random.Generator) -> None:
    """Scale and shift the logit ln(v / (1 - v)) of v = (value + 0.5) / 256, as fastai v1 does.

    Brightness adds the logit of a number that is uniform in 0.5 +- amount / 2.
    Contrast multiplies by a factor between 1 - amount and its inverse, uniform
    in its logarithm.
    """
    scale, offset = 1.0, 0.0
    for step in steps:
        if step.name == "brightness":
            level = rng.uniform(0.5 * (1 - step.amount), 0.5 * (1 + step.amount))
            offset += math.log(level / (1 - level))
        else:
            factor = log_uniform(1 - step.amount, 1 / (1 - step.amount), rng)
            scale, offset = scale * factor, offset * factor
    value = (np.arange(256) + 0.5) / 256
    logit = scale * np.log(value / (1 - value)) + offset
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
    """Draw the height and width in pixels of the erased box (arXiv:1708.04896).

    The area is uniform, the aspect ratio (height / width) uniform in its logarithm.
    The box is drawn until it fits; after TRIES draws the last one is clipped.
    """
    (smallest, largest), (low, high) = step.area, step.ratio
    for _ in range(TRIES):
        area = side * side * rng.uniform(smallest, largest)
        ratio = log_uniform(low, high, rng)
        height, width = round((area * ratio) ** 0.5), round((area / ratio) ** 0.5)
        if max(height, width) <= side:
            break
    return min(height, side), min(width, side)


APPLY_FUNCTIONS: dict[str, Callable[[Sequence[Any], np.ndarray, np.random.Generator], None]] = {
    "linear": _apply_linear,
    "logit": _apply_logit,
    "noise": _add_noise,
    "random_erasing": _erase,
    "operations": apply_operations,
    "aug_mix": mix_chains,
}
