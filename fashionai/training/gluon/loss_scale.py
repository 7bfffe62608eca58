"""Dynamic loss scaling, which keeps small gradients within the range of float16."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fashionai.errors import TrainingError
from fashionai.runtime import import_mxnet

mx = import_mxnet()

# As in MXNet's automatic mixed precision.
FIRST, SMALLEST, LARGEST = 2.0**16, 1.0, 2.0**24
STEPS_BEFORE_GROWTH = 2000
# MXNet's check takes no more arrays than this at once.
LARGEST_GROUP = 200


class LossScale:
    """The factor of the loss before the backward pass (arXiv:1710.03740, section 3.2).

    Gradients that are not finite halve it, and their step is not to be made; so
    many finite steps in a row double it. ``value`` is a power of two, so that
    gradients are the same bits after scaling and unscaling unless float16 ends;
    ``finite_steps`` counts since the last change, ``skipped`` all steps not made.
    """

    def __init__(self) -> None:
        self.value = FIRST
        self.finite_steps = self.skipped = 0

    def accept(self, gradients: Sequence[Any]) -> bool:
        """Whether a step with these gradients, of one device, is to be made; waits for them.

        Raises TrainingError when they are not finite and cannot be scaled less.
        """
        if all_finite(gradients):
            self.finite_steps += 1
            if self.finite_steps == STEPS_BEFORE_GROWTH:
                self.value, self.finite_steps = min(2 * self.value, LARGEST), 0
            return True
        self.skipped += 1
        self.value, self.finite_steps = self.value / 2, 0
        if self.value < SMALLEST:
            raise TrainingError(
                "gradients exceed the range of float16",
                "Try a smaller optimizer.lr, or precision=float32",
            )
        return False

    def state(self) -> np.ndarray:
        """All that restore needs, ``(3,) float64``."""
        return np.array([self.value, self.finite_steps, self.skipped], np.float64)

    def restore(self, state: np.ndarray) -> None:
        """Go on from what state() gave; ValueError for anything else."""
        value, finite_steps, skipped = state.tolist()
        self.value, self.finite_steps, self.skipped = value, int(finite_steps), int(skipped)


def all_finite(arrays: Sequence[Any]) -> bool:
    """Whether no element of arrays on one device is infinite or not a number; waits for them."""
    finite = mx.nd.ones((1,), ctx=arrays[0].context)
    for start in range(0, len(arrays), LARGEST_GROUP):
        group = arrays[start : start + LARGEST_GROUP]
        mx.nd.multi_all_finite(*group, num_arrays=len(group), init_output=False, out=finite)
    return bool(finite.asscalar())
