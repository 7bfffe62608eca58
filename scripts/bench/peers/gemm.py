"""The product of two square matrices with PyTorch."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from measuring.worker import FACTS, Settings, serve


def set_up(settings: Settings) -> Callable[[], float]:
    """Measure GFLOP/s; a multiplication and an addition count as two operations."""
    size, count = settings["size"], settings["count"]
    one, other, out = (torch.randn(size, size) for _ in range(3))
    FACTS["threads"] = torch.get_num_threads()

    def measure() -> float:
        begun = time.perf_counter()
        for _ in range(count):
            torch.mm(one, other, out=out)
        return 2e-9 * size**3 * count / (time.perf_counter() - begun)

    measure()
    return measure


if __name__ == "__main__":
    serve(set_up, "torch")
