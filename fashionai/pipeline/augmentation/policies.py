"""Augmentation policies: what RandAugment, TrivialAugment and AugMix draw.

The operations and the ranges of their amounts are those of torchvision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fashionai.config.augmentations import AugMix, RandAugment, TrivialAugment
from fashionai.pipeline.augmentation.geometry import Box, draw_homography, sample_view
from fashionai.pipeline.augmentation.operations import GEOMETRIC, Operation, apply_operations

# RandAugment's largest magnitude, and TrivialAugment's, which draws a whole number.
LARGEST_MAGNITUDE = 30
# AugMix's largest severity, and the longest of its chains.
LARGEST_SEVERITY, LONGEST_CHAIN = 10, 3
# RandAugment translates by up to this share of the side: 150 of 331 pixels in AutoAugment.
RAND_AUGMENT_SHIFT = 150 / 331
# TrivialAugment translates by up to this many pixels, whatever the size.
TRIVIAL_AUGMENT_SHIFT = 32
# Operations that blend an image with a version of it without light, colour, contrast, detail.
LIGHT = ("brightness", "saturation", "contrast", "sharpness")


class Range(NamedTuple):
    """The amounts of an operation from the smallest magnitude to the largest.

    ``signed`` amounts are negated with probability 0.5; ``whole`` ones are rounded.
    """

    first: float
    last: float
    signed: bool = False
    whole: bool = False


# The range of each operation.
Space = Mapping[str, Range]


def _space(shear: float, shift: float, degrees: float, light: float, bits: Range) -> Space:
    """The operations in torchvision's order, with their largest amounts."""
    nothing = Range(0, 0)
    return {
        "identity": nothing,
        **dict.fromkeys(("shear_x", "shear_y"), Range(0, shear, signed=True)),
        **dict.fromkeys(("translate_x", "translate_y"), Range(0, shift, signed=True)),
        "rotate": Range(0, degrees, signed=True),
        **dict.fromkeys(LIGHT, Range(0, light, signed=True)),
        "posterize": bits,
        "solarize": Range(255, 0),
        "autocontrast": nothing,
        "equalize": nothing,
    }


def rand_augment_space() -> Space:
    """The operations of RandAugment."""
    return _space(0.3, RAND_AUGMENT_SHIFT, 30, 0.9, Range(8, 4, whole=True))


def trivial_augment_space(side: int) -> Space:
    """The operations of TrivialAugment's wide space, for views of this side in pixels."""
    return _space(0.99, TRIVIAL_AUGMENT_SHIFT / side, 135, 0.99, Range(8, 2, whole=True))


def aug_mix_space() -> Space:
    """The operations of AugMix, with those that its paper leaves out of tests of robustness."""
    space = dict(_space(0.3, 1 / 3, 30, 0.9, Range(4, 0, whole=True)))
    del space["identity"]
    return space


def draw_operation(space: Space, share: float, rng: np.random.Generator) -> Operation:
    """Draw an operation; ``share``, from 0 to 1, is that of the largest magnitude."""
    names = list(space)
    name = names[rng.integers(len(names))]
    first, last, signed, whole = space[name]
    amount = first + share * (last - first)
    if whole:
        amount = round(amount)
    if signed and rng.integers(2):
        amount = -amount
    return Operation(name, amount)


def _draw_rand_augment(step: RandAugment, side: int, rng: np.random.Generator) -> list[Operation]:
    drawn = []
    for _ in range(step.layers):
        magnitude = step.magnitude
        if step.deviation:
            magnitude = rng.normal(magnitude, step.deviation)
        share = min(max(magnitude / LARGEST_MAGNITUDE, 0.0), 1.0)
        drawn.append(draw_operation(rand_augment_space(), share, rng))
    return drawn


def _draw_trivial_augment(
    step: TrivialAugment, side: int, rng: np.random.Generator
) -> list[Operation]:
    share = rng.integers(LARGEST_MAGNITUDE + 1) / LARGEST_MAGNITUDE
    return [draw_operation(trivial_augment_space(side), share, rng)]


# How a policy draws its operations for a view of a side in pixels.
POLICIES: dict[str, Callable[[Any, int, np.random.Generator], list[Operation]]] = {
    "rand_augment": _draw_rand_augment,
    "trivial_augment": _draw_trivial_augment,
}


def mix_chains(steps: Sequence[AugMix], view: np.ndarray, rng: np.random.Generator) -> None:
    """Mix ``view``, ``(side, side, 3) uint8``, in place with chains of operations on it."""
    for step in steps:
        own, others = rng.dirichlet([step.alpha] * 2)
        weights = others * rng.dirichlet([step.alpha] * step.width)
        mixed = own * view.astype(np.float32)
        for weight in weights:
            mixed += np.float32(weight) * _chain(step.severity, view, rng)
        view[...] = np.rint(mixed)


def _chain(severity: int, view: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy of the view after one to three operations; the geometric ones come first, as one."""
    operations = []
    for _ in range(rng.integers(1, LONGEST_CHAIN + 1)):
        share = rng.integers(severity) / (LARGEST_SEVERITY - 1)
        operations.append(draw_operation(aug_mix_space(), share, rng))
    geometric = [operation for operation in operations if operation.name in GEOMETRIC]
    side = len(view)
    homography = draw_homography(geometric, rng)
    chained = sample_view(view, Box(0, 0, side, side), homography, side).copy()
    apply_operations([each for each in operations if each.name not in GEOMETRIC], chained)
    return chained
