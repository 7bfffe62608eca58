"""How two runs differ on the same rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fashionai.reporting.report.results import Result
from fashionai.scoring.bootstrap import Interval, interval
from fashionai.scoring.compare import Outcomes


class Difference(NamedTuple):
    """A score of the second run minus that of the first, with its 95 % confidence interval."""

    key: str
    value: float
    interval: Interval

    @property
    def is_clear(self) -> bool:
        """Whether the interval is on one side of 0."""
        return self.interval.low > 0 or self.interval.high < 0


def score_differences(first: Result, second: Result) -> list[Difference]:
    """The difference of each score; the rows of both have the same order.

    Both are scored on the same resamples, so that what the rows have in common cancels out.
    """
    before, after = first.evaluation, second.evaluation
    return [
        Difference(
            key, after.scores[key] - score, interval(after.resampled[key] - before.resampled[key])
        )
        for key, score in before.scores.items()
    ]


def outcomes(first: Result, second: Result) -> Outcomes:
    """How many rows both, one or neither of two runs predict correctly."""
    a, b = (each.predicted == each.truth for each in (first, second))
    return Outcomes(*(int(np.sum(cell)) for cell in (a & b, a & ~b, ~a & b, ~a & ~b)))
