"""The time of an epoch, its progress bar, and the speed measured in the first steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Optional

from tqdm import tqdm

# The speed is measured over this many seconds after the warm-up. The first steps build graphs, and
# two more steps are queued while one is computed: after three steps the first one is done.
WARM_UP_STEPS, MEASURED_SECONDS = 3, 5.0


class EpochClock:
    """Measures the seconds of an epoch, shows a progress bar and reports the speed once.

    ``report_speed`` is called once per clock, with the seconds per image; ``shows`` tells
    whether there is a bar. The first bar
    appears after that call, so that the estimate of the run's time is printed before it.
    """

    def __init__(self, report_speed: Callable[[float], None], shows: bool = True) -> None:
        self._shows = shows
        self._report_speed: Optional[Callable[[float], None]] = report_speed
        self._bar: Optional[Any] = None

    def start(self, description: str, steps: int, done: int) -> None:
        """Start an epoch of ``steps`` steps, of which ``done`` are finished already."""
        self._description, self._steps, self._done = description, steps, done
        self._epoch_start = self._speed_start = time.perf_counter()
        self._ticks = self._images = 0
        self._show_bar()

    def tick(self, images: int) -> None:
        """Count a finished step over ``images`` images."""
        self._done += 1
        self._ticks += 1
        self._images += images
        if self._bar is not None:
            self._bar.update()
        elif self._ticks == WARM_UP_STEPS and self._done < self._steps:
            self._speed_start, self._images = time.perf_counter(), 0
        elif self._ticks > WARM_UP_STEPS and self._measured_seconds() > MEASURED_SECONDS:
            self._report()

    def stop(self) -> float:
        """End the epoch; returns the seconds since its start."""
        self._report()
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        return time.perf_counter() - self._epoch_start

    def _measured_seconds(self) -> float:
        return time.perf_counter() - self._speed_start

    def _report(self) -> None:
        if self._report_speed is not None and self._images:
            self._report_speed(self._measured_seconds() / self._images)
            self._report_speed = None
            self._show_bar()

    def _show_bar(self) -> None:
        if self._report_speed is None:
            self._bar = tqdm(
                total=self._steps,
                initial=self._done,
                desc=self._description,
                unit=" steps",
                leave=False,
                disable=None if self._shows else True,
            )
