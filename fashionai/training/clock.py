"""The time of an epoch, its progress bar, and the speed that the first steps show."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Optional

from tqdm import tqdm

# The speed is taken after the first steps, which build graphs, over so many seconds. A step is
# computed while two more are already queued: after three the first one is done.
WARM_UP_STEPS, MEASURED_SECONDS = 3, 5.0


class EpochClock:
    """Counts seconds and shows a bar; calls ``announce`` once with the seconds per image.

    The first bar appears after the announcement, so that the estimate of the
    run's time is the first thing to read.
    """

    def __init__(self, announce: Callable[[float], None]) -> None:
        self._announce: Optional[Callable[[float], None]] = announce
        self._bar: Optional[Any] = None

    def start(self, description: str, steps: int, done: int) -> None:
        """An epoch of so many steps begins, some of them already done."""
        self._description, self._total, self._done = description, steps, done
        self._begun = self._mark = time.perf_counter()
        self._ticks = self._images = 0
        self._show_bar()

    def tick(self, images: int) -> None:
        """A step over so many images is done."""
        self._done += 1
        self._ticks += 1
        self._images += images
        if self._bar is not None:
            self._bar.update()
        elif self._ticks == WARM_UP_STEPS and self._done < self._total:
            self._mark, self._images = time.perf_counter(), 0
        elif self._ticks > WARM_UP_STEPS and time.perf_counter() - self._mark > MEASURED_SECONDS:
            self._tell_speed()

    def stop(self) -> float:
        """The epoch ends; seconds since it began."""
        self._tell_speed()
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        return time.perf_counter() - self._begun

    def _tell_speed(self) -> None:
        if self._announce is not None and self._images:
            self._announce((time.perf_counter() - self._mark) / self._images)
            self._announce = None
            self._show_bar()

    def _show_bar(self) -> None:
        if self._announce is None:
            self._bar = tqdm(
                total=self._total,
                initial=self._done,
                desc=self._description,
                unit=" steps",
                leave=False,
                disable=None,
            )
