"""Measures the speed of training steps on a device that computes behind Python's back."""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Optional

# The results of a step are waited for this many steps later, as in the training loop.
READ_BEHIND = 2
WARM_UP_STEPS = 3
LEAST_STEPS = 4


class Speed(NamedTuple):
    """What a measurement found; shares are of its time, ``host_share`` that of Python's steps."""

    images_per_second: float
    waiting_share: float
    host_share: float
    steps: int


class StepTimer:
    """Makes steps with batches of an iterator, and measures them.

    ``step`` starts one and returns a function that waits for it; ``wait`` waits for all.
    """

    def __init__(
        self,
        batches: Iterator[Any],
        step: Callable[[Any], Callable[[], Any]],
        wait: Callable[[], None],
        images: int,
    ) -> None:
        self._batches, self._step, self._wait, self._images = batches, step, wait, images
        self._unread: deque[Callable[[], Any]] = deque()
        self._waited = self._stepped = 0.0

    def warm_up(self, loaded: int = 0) -> float:
        """Make the first steps, which compile; returns the seconds of the first one.

        ``loaded`` is the number of batches that are loaded meanwhile, which must be used up.
        """
        begun = time.perf_counter()
        self._one()
        self._finish()
        seconds = time.perf_counter() - begun
        for _ in range(WARM_UP_STEPS + loaded):
            self._one()
        self._finish()
        return seconds

    def measure(self, seconds: float) -> Speed:
        """The speed of steps that take about so many seconds."""
        self._waited = self._stepped = 0.0
        steps, begun = 0, time.perf_counter()
        while steps < LEAST_STEPS or time.perf_counter() - begun < seconds:
            self._one()
            steps += 1
        self._finish()
        total = time.perf_counter() - begun
        shares = self._waited / total, self._stepped / total
        return Speed(steps * self._images / total, *shares, steps)

    def _one(self) -> None:
        begun = time.perf_counter()
        batch = next(self._batches)
        arrived = time.perf_counter()
        self._unread.append(self._step(batch))
        self._waited += arrived - begun
        self._stepped += time.perf_counter() - arrived
        while len(self._unread) > READ_BEHIND:
            self._unread.popleft()()

    def _finish(self) -> None:
        while self._unread:
            self._unread.popleft()()
        self._wait()


def peak_gigabytes(on_gpu: bool) -> float:
    """The most memory that tensors have used at once on the GPU, or this process on the CPU."""
    if not on_gpu:
        from fashionai.runtime import peak_memory_gigabytes

        return peak_memory_gigabytes()
    import torch

    return float(torch.cuda.max_memory_allocated() / 1e9)


def forget() -> None:
    """Free the memory of earlier measurements on the GPU, and forget its peak."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()


def largest_batch(rows: list[dict[str, Any]], side: str, memory: Optional[float]) -> Optional[int]:
    """The largest batch that should fit into ``memory`` GB, a multiple of 64; None if unknown.

    It follows from the measurements of a side with the most images: the memory in use grows
    with the batch.
    """
    known = [row for row in rows if row.get("side") == side and row.get("peak_gigabytes")]
    if memory is None or not known:
        return None
    most = max(known, key=lambda row: int(row["batch"]))
    per_image = float(most["peak_gigabytes"]) / int(most["batch"])
    return max(64, int(0.85 * memory / per_image) // 64 * 64)
