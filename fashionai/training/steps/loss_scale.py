"""Dynamic loss scaling, which keeps small gradients within the range of float16."""

from __future__ import annotations

import numpy as np

from fashionai.errors import TrainingError, counted

# As in MXNet's automatic mixed precision.
INITIAL_SCALE, MIN_SCALE, MAX_SCALE = 2.0**16, 1.0, 2.0**24
GROWTH_INTERVAL = 2000
# Beyond this, a float is no count.
MOST_STEPS = 2**53


class LossScale:
    """The factor of the loss before the backward pass (arXiv:1710.03740, section 3.2).

    When gradients are not finite, the factor is halved and the step is skipped. After
    GROWTH_INTERVAL consecutive steps with finite gradients it is doubled. ``value`` is a
    power of two: scaling and unscaling leave the bits of a gradient as they are, unless it
    leaves the range of float16. ``finite_steps`` is the number of finite steps since the
    last change, ``skipped`` the number of skipped steps.
    """

    def __init__(self) -> None:
        self.value = INITIAL_SCALE
        self.finite_steps = self.skipped = 0

    def accept(self, finite: bool) -> bool:
        """Update the factor; returns False when the step must be skipped.

        ``finite`` tells whether all gradients are finite. Raises TrainingError when they are
        not at the smallest factor.
        """
        if finite:
            self.finite_steps += 1
            if self.finite_steps == GROWTH_INTERVAL:
                self.value, self.finite_steps = min(2 * self.value, MAX_SCALE), 0
            return True
        self.skipped += 1
        self.value, self.finite_steps = self.value / 2, 0
        if self.value < MIN_SCALE:
            raise TrainingError(
                "gradients exceed the range of float16",
                "Try a smaller optimizer.lr, or precision=float32",
            )
        return False

    def state(self) -> np.ndarray:
        """The argument of restore, ``(3,) float64``."""
        return np.array([self.value, self.finite_steps, self.skipped], np.float64)

    def restore(self, state: np.ndarray) -> None:
        """Restore the result of state(); ValueError for anything else."""
        value, finite_steps, skipped = state.tolist()
        counts = all(0 <= count <= MOST_STEPS for count in (finite_steps, skipped))
        if not (MIN_SCALE <= value <= MAX_SCALE and counts):
            raise ValueError(f"a loss scale of {value} after {counted(finite_steps, 'step')}")
        self.value, self.finite_steps, self.skipped = value, int(finite_steps), int(skipped)
