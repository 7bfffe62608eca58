"""Learning rate and momentum as pure functions of the step."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Union

from fashionai.config import Config
from fashionai.config.schedules import CosineSchedule, OneCycleSchedule, StepSchedule

# Steps per epoch, at least 1. Epoch e, from 0, starts at step floor(e * steps).
Steps = Union[int, Fraction]


def learning_rate(config: Config, step: int, steps_per_epoch: Steps) -> float:
    """The learning rate of optimizer step ``step``, which counts from 0 over the whole run.

    Warm-up: first * (step + 1) / warm-up steps, where ``first`` is lr / div_factor for
    one_cycle, and lr for the other schedules. After the warm-up:

    - constant: lr.
    - step: lr * factor^k, where k is the number of entries of ``epochs`` that are finished.
    - cosine: lr * (f + (1 - f) * (1 + cos(pi * t)) / 2), where f is ``final_factor`` and t
      increases from 0 to 1 over the steps after the warm-up (arXiv:1608.03983).
    - one_cycle: two half cosines over the steps after the warm-up (arXiv:1708.07120).
    """
    schedule, base = config.schedule, config.optimizer.lr
    first = base / schedule.div_factor if isinstance(schedule, OneCycleSchedule) else base
    warmup = _warmup_steps(config, steps_per_epoch)
    total = math.floor(config.epochs * steps_per_epoch) - warmup
    if step < warmup:
        return first * (step + 1) / warmup
    if isinstance(schedule, StepSchedule):
        finished = math.ceil(Fraction(step + 1) / steps_per_epoch) - 1
        return base * schedule.factor ** sum(epoch <= finished for epoch in schedule.epochs)
    if isinstance(schedule, CosineSchedule):
        return _half_cosine(base, base * schedule.final_factor, (step - warmup) / max(1, total))
    if isinstance(schedule, OneCycleSchedule):
        last = first / schedule.final_div_factor
        return _cycle(schedule, step - warmup, total, first, base, last)
    return base


def momentum(config: Config, step: int, steps_per_epoch: Steps) -> float:
    """The momentum of a step (Adam: first beta). Only one_cycle changes it during a run."""
    schedule = config.schedule
    if not isinstance(schedule, OneCycleSchedule):
        return config.optimizer.momentum
    high, low = schedule.max_momentum, schedule.base_momentum
    warmup = _warmup_steps(config, steps_per_epoch)
    if step < warmup:
        return high
    total = math.floor(config.epochs * steps_per_epoch) - warmup
    return _cycle(schedule, step - warmup, total, high, low, high)


def _warmup_steps(config: Config, steps_per_epoch: Steps) -> int:
    return round(config.schedule.warmup_epochs * steps_per_epoch)


def _cycle(
    schedule: OneCycleSchedule, step: int, total: int, first: float, turn: float, last: float
) -> float:
    """A half cosine from first to turn over ``pct_start`` of the steps, then one to last.

    The turn is at step pct_start * total - 1 and the end at the last step, as in PyTorch's
    OneCycleLR, so that its recipes give the same rates.
    """
    peak, end = schedule.pct_start * total - 1, total - 1
    if step <= peak and peak > 0:
        return _half_cosine(first, turn, step / peak)
    return _half_cosine(turn, last, min(1.0, (step - peak) / max(end - peak, 1e-12)))


def _half_cosine(first: float, last: float, done: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * done)) / 2
