"""The process of one side that measures several cases, one after the other.

Uses the standard library alone, because the peers run it in an environment of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from measuring.worker import Settings, serve

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


class Case(NamedTuple):
    """What is timed: ``compute`` begins one batch, ``wait`` returns once all are computed."""

    compute: Callable[[], Any]
    wait: Callable[[], Any] = lambda: None


def serve_cases(build: Callable[[Settings], Case], *packages: str) -> None:
    """Measure each of ``settings["cases"]`` as often as ``settings["repetitions"]`` says.

    ``build`` builds a case when its first measurement is asked for. A measurement is in images per
    second by the clock that ``settings["clock"]`` names.
    """

    def set_up(settings: Settings) -> Callable[[], float]:
        measurements = _measurements(build, settings)
        return lambda: next(measurements)

    serve(set_up, *packages)


def _measurements(build: Callable[[Settings], Case], settings: Settings) -> Iterator[float]:
    for own in settings["cases"]:
        case, clock = build({**settings, **own}), CLOCKS[settings["clock"]]
        case.compute()
        case.wait()
        for _ in range(settings["repetitions"]):
            begun = clock()
            for _ in range(own["batches"]):
                case.compute()
            case.wait()
            yield own["batches"] * settings["batch_size"] / (clock() - begun)
