"""When a search ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Optional

from fashionai.tuning.trials import RUNNING, Trial


class Budget(NamedTuple):
    """When a search ends: after so many trials, or seconds of all trials together."""

    trials: Optional[int] = None
    seconds: Optional[float] = None

    def allows_another(self, trials: Sequence[Trial]) -> bool:
        """Whether another trial may begin, which is taken to last as long as the others."""
        if self.trials is not None and len(trials) >= self.trials:
            return False
        if self.seconds is None or not trials:
            return True
        return sum(expected_seconds(trials)) + usual_seconds(trials) <= self.seconds

    def is_exceeded(self, trials: Sequence[Trial], number: int, seconds: float) -> bool:
        """Whether a trial that is taken to last ``seconds`` ends too late."""
        others = [trial for trial in trials if trial.number != number]
        return self.seconds is not None and sum(expected_seconds(others)) + seconds > self.seconds

    def seconds_left(self, trials: Sequence[Trial]) -> float:
        """The seconds until the search ends, with as many trials at once as run at the moment."""
        usual, running = usual_seconds(trials), [each for each in trials if each.state == RUNNING]
        left = sum(max(usual - trial.seconds, 0.0) for trial in running)
        ends = []
        if self.trials is not None:
            ends.append(left + usual * max(0, self.trials - len(trials)))
        if self.seconds is not None:
            ends.append(max(0.0, self.seconds - sum(trial.seconds for trial in trials)))
        return min(ends) / max(1, len(running))


NO_BUDGET = Budget()


def usual_seconds(trials: Sequence[Trial]) -> float:
    """The mean seconds of the trials that have ended; 0 without one."""
    ended = [trial.seconds for trial in trials if trial.state != RUNNING]
    return sum(ended) / max(1, len(ended))


def expected_seconds(trials: Sequence[Trial]) -> list[float]:
    """The seconds of each trial; those that run are taken to last as long as the others."""
    usual = usual_seconds(trials)
    return [max(each.seconds, usual if each.state == RUNNING else 0.0) for each in trials]
