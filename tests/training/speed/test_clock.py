"""The speed that the first steps show, told once."""

from __future__ import annotations

import pytest

from fashionai.training.speed import clock
from fashionai.training.speed.clock import EpochClock


class Time:
    """A clock that the test moves."""

    now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(clock, "time", time)
    return time


def run_epoch(epoch_clock: EpochClock, time: Time, seconds: list[float]) -> float:
    epoch_clock.start("epoch", len(seconds), 0)
    for step in seconds:
        time.now += step
        epoch_clock.tick(8)
    return epoch_clock.stop()


def test_the_first_steps_do_not_count_for_the_speed(time: Time) -> None:
    told: list[float] = []
    epoch_clock = EpochClock(told.append)
    assert run_epoch(epoch_clock, time, [30, 10, 10, 2, 2, 2]) == pytest.approx(56)
    assert told == [pytest.approx(2 / 8)]
    assert run_epoch(epoch_clock, time, [2] * 6) == pytest.approx(12)
    assert len(told) == 1


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_an_epoch_of_a_few_steps_is_measured_as_a_whole(time: Time, steps: int) -> None:
    told: list[float] = []
    run_epoch(EpochClock(told.append), time, [4] * steps)
    assert told == [pytest.approx(4 / 8)]
