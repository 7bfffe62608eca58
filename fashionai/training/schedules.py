"""Learning rates as pure functions of the step."""

from __future__ import annotations

import math

from fashionai.config import Config
from fashionai.config.schedules import CosineSchedule, StepSchedule


def learning_rate(config: Config, step: int, steps_per_epoch: int) -> float:
    """The learning rate of optimizer step ``step`` (from 0, over the whole run).

    While warming up: lr * (step + 1) / warm-up steps. Afterwards the schedule:
    constant lr; lr * factor^(number of entries of ``epochs`` that are finished
    epochs); or lr * (f + (1 - f) * (1 + cos(pi * t)) / 2) with t running from 0
    to 1 over the steps behind the warm-up (arXiv:1608.03983).
    """
    schedule, base = config.schedule, config.optimizer.lr
    warmup_steps = round(schedule.warmup_epochs * steps_per_epoch)
    if step < warmup_steps:
        return base * (step + 1) / warmup_steps
    if isinstance(schedule, StepSchedule):
        finished = step // steps_per_epoch
        return base * schedule.factor ** sum(epoch <= finished for epoch in schedule.epochs)
    if isinstance(schedule, CosineSchedule):
        total = config.epochs * steps_per_epoch
        done = (step - warmup_steps) / max(1, total - warmup_steps)
        remaining = (1 + math.cos(math.pi * done)) / 2
        return base * (schedule.final_factor + (1 - schedule.final_factor) * remaining)
    return base
