"""Trials as a study knows them, and which of them are best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fashionai.metrics import LOWER_IS_BETTER
from fashionai.tuning.spaces.space import Value

RUNNING, FINISHED, PRUNED, FAILED = "running", "finished", "pruned", "failed"
# The objective that is no score: the time that the network takes per image, in milliseconds.
TIME = "time"
# The weights of so many finished trials are kept, the best ones.
KEPT = 3


class Trial(NamedTuple):
    """One trial of a study.

    ``number`` counts from 0, the user's configuration. ``values`` are those of the objectives,
    empty unless it is finished. ``scores`` are those of its epochs so far. ``seconds`` is
    the time from its beginning, without interruptions, ``reason`` why it was pruned or has failed.
    """

    number: int
    state: str
    params: Mapping[str, Value]
    values: Sequence[float] = ()
    scores: Sequence[float] = ()
    seconds: float = 0.0
    reason: str = ""


def is_minimized(objective: str) -> bool:
    """Whether low values of an objective are better."""
    return objective == TIME or objective.rpartition(".")[2] in LOWER_IS_BETTER


def ranked(trials: Sequence[Trial], objectives: Sequence[str]) -> list[Trial]:
    """The finished trials, the best first: of several objectives those that none other excels.

    Of equal ones the earlier comes first.
    """
    finished = [trial for trial in trials if trial.state == FINISHED]
    ordered = sorted(finished, key=lambda trial: _costs(trial, objectives))
    if len(objectives) == 1:
        return ordered
    front = pareto_front(finished, objectives)
    return front + [trial for trial in ordered if trial not in front]


def pareto_front(trials: Sequence[Trial], objectives: Sequence[str]) -> list[Trial]:
    """The finished trials that no other one excels, by the first objective.

    A trial excels another if it is nowhere worse and somewhere better. Of equal ones the first
    counts.
    """
    distinct: dict[tuple[float, ...], Trial] = {}
    for trial in trials:
        if trial.state == FINISHED:
            distinct.setdefault(tuple(trial.values), trial)
    finished = [*distinct.values()]
    front = [
        trial
        for trial in finished
        if not any(_excels(other, trial, objectives) for other in finished)
    ]
    return sorted(front, key=lambda trial: _costs(trial, objectives))


def kept(trials: Sequence[Trial], objectives: Sequence[str]) -> set[int]:
    """The numbers of the trials whose weights are kept: the best ones, or the Pareto front."""
    if len(objectives) > 1:
        return {trial.number for trial in pareto_front(trials, objectives)}
    return {trial.number for trial in ranked(trials, objectives)[:KEPT]}


def _costs(trial: Trial, objectives: Sequence[str]) -> list[float]:
    """The values, negated where high ones are better."""
    return [
        value if is_minimized(objective) else -value
        for objective, value in zip(objectives, trial.values)
    ]


def _excels(one: Trial, other: Trial, objectives: Sequence[str]) -> bool:
    """Whether one trial is nowhere worse than the other, and somewhere better."""
    pairs = list(zip(_costs(one, objectives), _costs(other, objectives)))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
