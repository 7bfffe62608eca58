"""What a search has found, in sentences."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from fashionai.reporting.tables import WIDTH
from fashionai.tuning.study import Study
from fashionai.tuning.table import long_name
from fashionai.tuning.trials import Trial, pareto_front, ranked

NOTHING_BETTER = "No trial is better than the given configuration, which is the best found."
NOTHING_TO_CONFIRM = "No trial is better than the given configuration: nothing to confirm."
LUCK = "The best of many trials is also the luckiest: --confirm 3 tells what is left."


def outcome(study: Study, trials: Sequence[Trial]) -> list[str]:
    """What the file of the best configuration holds, and what it is worth, in lines of 80 columns.

    Of several trade-offs it holds the one that is best by the first objective.
    """
    best, others = ranked(trials, study.settings.objectives)[0], other_trade_offs(study, trials)
    lines = []
    if others:
        held = f"trial {best.number}" if best.number else "the given configuration (trial 0)"
        name = long_name(study.settings.objectives[0])
        numbers = ", ".join(str(trial.number) for trial in others)
        text = (
            f"{study.best_file} holds {held}, the trade-off with the best {name}. "
            f"The others are runs in {study.path}: trial {numbers}."
        )
        lines = textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
    elif best.number == 0:
        lines = [NOTHING_BETTER]
    return [*lines, *([LUCK] if best.number else [])]


def nothing_to_confirm(study: Study, trials: Sequence[Trial]) -> str:
    """Why the given configuration is not compared with itself."""
    if not other_trade_offs(study, trials):
        return NOTHING_TO_CONFIRM
    name = long_name(study.settings.objectives[0])
    return f"No trial has a better {name} than the given configuration: nothing to confirm."


def other_trade_offs(study: Study, trials: Sequence[Trial]) -> list[Trial]:
    """The trials beside the best one that it does not excel; none of one objective."""
    objectives = study.settings.objectives
    return pareto_front(trials, objectives)[1:] if len(objectives) > 1 else []
