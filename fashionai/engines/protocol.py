"""What every engine can do."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from fashionai.models.views import Pending


class Engine(Protocol):
    """Computes the class probabilities of views."""

    def begin(self, pixels: np.ndarray) -> Pending:
        """Start to compute views ``(N, H, W, 3) uint8`` RGB.

        Returns a function that waits for the probabilities, ``(N, C) float64``, and returns
        them. The columns of each task sum to 1. Calls with the same N are fastest, because
        graphs are planned for one batch size.
        """
        ...
