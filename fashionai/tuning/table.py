"""The trials of a search as tables and lines of at most 80 columns."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence

from fashionai.errors import counted
from fashionai.metrics import SCORE_NAMES
from fashionai.reporting.live import curve
from fashionai.reporting.tables import WIDTH, Column, aligned_table
from fashionai.text_width import keep_end
from fashionai.training.speed.estimate import duration
from fashionai.tuning.budget import Budget
from fashionai.tuning.study import Study
from fashionai.tuning.trials import FINISHED, PRUNED, RUNNING, TIME, Trial, pareto_front, ranked

# Trials that a table shows; of a longer search the best ones.
MOST_ROWS = 15
STATE_WIDTH, EPOCHS_WIDTH, VALUE_WIDTH, SECONDS_WIDTH, CURVE_WIDTH = 10, 9, 11, 11, 18
UNTUNED = "0, untuned"
BAR_WIDTH = 30


def live_table(study: Study, budget: Budget, trials: Sequence[Trial]) -> str:
    """How far the search is, a line per trial, those that run first, and the best parameters."""
    lines = [keep_end(str(study.path), WIDTH), state_of_search(study, budget, trials), ""]
    lines += table_lines(study, trials)
    return "\n".join([*lines, "", *best_lines(study, trials)])


def table_lines(study: Study, trials: Sequence[Trial]) -> list[str]:
    """The table of all trials: those that run, the best ones, and the others, the latest first.

    The last line counts the trials that it does not show by their state.
    """
    order = [trial for trial in trials if trial.state == RUNNING]
    order += ranked(trials, study.settings.objectives)
    order += [trial for trial in reversed(trials) if trial not in order]
    lines, left = trial_table(study, order[:MOST_ROWS]).splitlines(), order[MOST_ROWS:]
    if left:
        counts = Counter(trial.state for trial in left)
        states = ", ".join(f"{count:,} {state}" for state, count in counts.items())
        lines.append(f"and {len(left):,} more: {states}")
    return lines


def state_of_search(study: Study, budget: Budget, trials: Sequence[Trial]) -> str:
    """The number of trials that have ended, the time left, and the best value."""
    ended = sum(trial.state != RUNNING for trial in trials)
    of_all = "" if budget.trials is None else f" of {budget.trials:,}"
    parts = [f"{ended:,}{of_all} {'trial' if ended == 1 and not of_all else 'trials'}"]
    if ended:
        parts.append(f"about {duration(budget.seconds_left(trials))} left")
    order = ranked(trials, study.settings.objectives)
    if order:
        parts.append(f"best: {named_values(study, order[0])} (trial {order[0].number})")
    return ", ".join(parts)


def trial_table(study: Study, trials: Sequence[Trial]) -> str:
    """One line per trial: state, epochs, values, time, and the scores of its epochs."""
    objectives = study.settings.objectives
    columns: list[Column] = [("state", STATE_WIDTH), ("epochs", EPOCHS_WIDTH)]
    columns += [(short_name(name), VALUE_WIDTH) for name in objectives]
    columns.append(("time", SECONDS_WIDTH))
    if len(objectives) == 1:
        columns.append(("score by epoch", CURVE_WIDTH))
    steps = study.config.epochs * (study.settings.folds or 1)
    rows = []
    for trial in trials:
        values = [value_text(value, name) for name, value in zip(objectives, trial.values)]
        cells = [trial.state, f"{len(trial.scores)}/{steps}", *values]
        cells += ["-"] * (len(objectives) - len(values))
        cells.append(duration(trial.seconds))
        if len(objectives) == 1:
            cells.append(curve(trial.scores))
        rows.append((str(trial.number) if trial.number else UNTUNED, cells))
    return aligned_table("trial", columns, rows)


def trial_lines(study: Study, budget: Budget, trials: Sequence[Trial], trial: Trial) -> list[str]:
    """How a trial has ended, what it was, and how far the search is."""
    epochs = counted(len(trial.scores), "epoch")
    ends = {
        FINISHED: f"{named_values(study, trial)}, {epochs} in {duration(trial.seconds)}",
        PRUNED: f"pruned after {epochs}: {trial.reason}",
    }
    end = ends.get(trial.state, f"{trial.state}: {trial.reason}")
    lines = textwrap.wrap(f"trial {trial.number}: {end}", WIDTH, subsequent_indent="  ")
    what = changes_of(study, trial) if trial.number else ["the configuration itself"]
    lines += _wrapped_items(what)
    return [*lines, f"  {state_of_search(study, budget, trials)}"]


def best_lines(study: Study, trials: Sequence[Trial]) -> list[str]:
    """The parameters of the best trial, or of the best trade-offs, beside the first trial."""
    objectives = study.settings.objectives
    order = ranked(trials, objectives)
    if not order:
        return []
    if len(objectives) > 1:
        front = pareto_front(trials, objectives)
        lines = [f"the best trade-offs of {' and '.join(map(long_name, objectives))}:"]
        for trial in front:
            lines.append(f"trial {trial.number}: {named_values(study, trial)}")
            lines += _wrapped_items(changes_of(study, trial) or ["the configuration itself"])
        return lines
    best = order[0]
    if best.number == 0:
        return ["no trial is better than the configuration itself"]
    untuned = f", untuned {value_text(trials[0].values[0], objectives[0])}"
    lines = [f"best: trial {best.number}, {named_values(study, best)}{untuned}"]
    return lines + _wrapped_items(changes_of(study, best))


def importance_lines(shares: Mapping[str, float]) -> list[str]:
    """One line per parameter, with its share as a number and as a bar."""
    if not shares:
        return []
    width = max(map(len, shares))
    lines = ["importance of the parameters (PED-ANOVA):"]
    for key, share in shares.items():
        lines.append(f"  {key:<{width}}  {share:.2f}  {'█' * round(BAR_WIDTH * share)}".rstrip())
    return lines


def changes_of(study: Study, trial: Trial) -> list[str]:
    """The parameters of a trial that differ from the user's configuration, as ``key=value``."""
    own = study.space.params_of(study.config)
    changed = {key: value for key, value in trial.params.items() if own.get(key) != value}
    return [f"{key}={value}" for key, value in changed.items()]


def named_values(study: Study, trial: Trial) -> str:
    """The values of a finished trial with their names."""
    pairs = zip(study.settings.objectives, trial.values)
    return ", ".join(f"{long_name(name)} {value_text(value, name)}" for name, value in pairs)


def value_text(value: float, objective: str) -> str:
    """A value as people read it."""
    return f"{value:.2f} ms" if objective == TIME else f"{value:.4f}"


def long_name(objective: str) -> str:
    """An objective with its unit or its usual name: ``mAP``, ``skirt mAP``, ``time per image``."""
    if objective == TIME:
        return "time per image"
    task, _, score = objective.rpartition(".")
    return f"{task} {SCORE_NAMES[score]}".strip()


def short_name(objective: str) -> str:
    """An objective as the heading of a column."""
    name = "per image" if objective == TIME else long_name(objective)
    return name if len(name) < VALUE_WIDTH else "score"


def _wrapped_items(items: Sequence[str]) -> list[str]:
    """Items in lines of 80 columns."""
    indent = "  "
    return textwrap.wrap(
        ", ".join(items),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )
