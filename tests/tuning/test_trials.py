"""Which trials are best, by one objective and by two."""

from __future__ import annotations

import numpy as np
import pytest

from fashionai.tuning.budget import Budget
from fashionai.tuning.trials import (
    FINISHED,
    KEPT,
    PRUNED,
    RUNNING,
    Trial,
    kept,
    pareto_front,
    ranked,
)


def finished(*values: object) -> list[Trial]:
    """Finished trials with these values, or tuples of them."""
    tuples = [each if isinstance(each, tuple) else (each,) for each in values]
    return [Trial(number, FINISHED, {}, each) for number, each in enumerate(tuples)]


def numbers(trials: list[Trial]) -> list[int]:
    return [trial.number for trial in trials]


def test_the_best_come_first_and_earlier_ones_of_equals() -> None:
    trials = finished(0.5, 0.9, 0.7, 0.9)
    assert numbers(ranked(trials, ["map"])) == [1, 3, 2, 0]
    assert numbers(ranked(trials, ["skirt.log_loss"])) == [0, 2, 1, 3]
    pruned = Trial(4, PRUNED, {}, scores=[0.99])
    assert numbers(ranked([*trials, pruned], ["map"])) == [1, 3, 2, 0]
    assert kept(trials, ["map"]) == {1, 2, 3}
    assert KEPT == 3


@pytest.mark.parametrize("seed", range(5))
def test_the_front_is_that_of_a_naive_search(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = [(float(a), float(b)) for a, b in rng.integers(0, 8, (30, 2))]
    trials = finished(*values)
    # Nothing else has at least the score in at most the time; of equal values the first counts.
    expected = {
        at
        for at, (score, time) in enumerate(values)
        if values.index((score, time)) == at
        and not any(s >= score and t <= time and (s, t) != (score, time) for s, t in values)
    }
    assert set(numbers(pareto_front(trials, ["map", "time"]))) == expected
    assert kept(trials, ["map", "time"]) == expected


def test_a_budget_of_trials_counts_those_that_run() -> None:
    trials = [*finished(0.1, 0.2), Trial(2, RUNNING, {})]
    assert Budget(trials=4).allows_another(trials)
    assert not Budget(trials=3).allows_another(trials)


def test_a_budget_of_time_takes_trials_to_last_as_long_as_those_before() -> None:
    # 10 s and 20 s have passed; what runs, and what would begin, are taken to last 15 s each.
    trials = [
        Trial(0, FINISHED, {}, [0.1], seconds=10),
        Trial(1, PRUNED, {}, seconds=20),
        Trial(2, RUNNING, {}, seconds=4),
    ]
    assert Budget(seconds=60).allows_another(trials)
    assert not Budget(seconds=59).allows_another(trials)
    # The first trial begins however short the time is.
    assert Budget(seconds=1e-9).allows_another([])
    # The trial itself is not counted twice.
    assert not Budget(seconds=60).is_exceeded(trials, 2, 30)
    assert Budget(seconds=60).is_exceeded(trials, 2, 31)


def test_the_time_left_is_shared_by_trials_that_run_at_once() -> None:
    trials = [
        Trial(0, FINISHED, {}, [0.1], seconds=10),
        Trial(1, RUNNING, {}, seconds=4),
        Trial(2, RUNNING, {}, seconds=0),
    ]
    # 6 s and 10 s of the two that run, and 10 s of each of two that come, by two processes.
    assert Budget(trials=5).seconds_left(trials) == (6 + 10 + 2 * 10) / 2
    assert Budget(seconds=20).seconds_left(trials) == (20 - 14) / 2
