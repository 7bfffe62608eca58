"""A picture of a search: the trials in their order, and which parameters matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fashionai.reporting.plots import SIZE, as_plain_text, save_figure
from fashionai.tuning.table import long_name
from fashionai.tuning.trials import (
    FINISHED,
    PRUNED,
    TIME,
    Trial,
    is_minimized,
    pareto_front,
)

# Bars of parameters, the most important first.
MOST_BARS = 10


def draw_search(
    path: Path,
    trials: Sequence[Trial],
    objectives: Sequence[str],
    importance: Mapping[str, float],
) -> Path:
    """Write a PNG: values over trials, or the Pareto front of two objectives; returns its path.

    Beside it are the shares of the parameters, if they are known.
    """
    figure = Figure(figsize=SIZE, layout="constrained")
    both = figure.subplots(1, 2) if importance else [figure.subplots()]
    if len(objectives) == 1:
        _draw_values(both[0], trials, objectives[0])
    else:
        _draw_front(both[0], trials, objectives)
    if importance:
        _draw_importance(both[1], importance)
    return save_figure(figure, path)


def _draw_values(axes: Axes, trials: Sequence[Trial], objective: str) -> None:
    """The value of each finished trial, the last score of each pruned one, and the best so far."""
    finished = [trial for trial in trials if trial.state == FINISHED]
    pruned = [trial for trial in trials if trial.state == PRUNED and trial.scores]
    axes.plot(
        [trial.number for trial in pruned],
        [trial.scores[-1] for trial in pruned],
        "x",
        color="tab:gray",
        label="pruned, last score",
    )
    values = [trial.values[0] for trial in finished]
    numbers = [trial.number for trial in finished]
    axes.plot(numbers, values, "o", color="tab:blue", markersize=4, label="finished")
    best = min if is_minimized(objective) else max
    so_far = [best(values[: end + 1]) for end in range(len(values))]
    axes.step(numbers, so_far, where="post", color="tab:blue", linewidth=1, label="best so far")
    axes.axhline(values[0], color="tab:red", linestyle="--", linewidth=1, label="untuned")
    axes.set_xlabel("trial")
    axes.set_ylabel(f"validation {as_plain_text(long_name(objective))}")
    axes.locator_params(axis="x", integer=True, min_n_ticks=1)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")


def _draw_front(axes: Axes, trials: Sequence[Trial], objectives: Sequence[str]) -> None:
    """The finished trials by both values, with the front as a line."""
    front = pareto_front(trials, objectives)
    others = [trial for trial in trials if trial.state == FINISHED and trial not in front]
    # The second objective, often the time, lies on the horizontal axis.
    for group, style, label in ((others, "o", "finished"), (front, "o-", "best trade-offs")):
        colour = "tab:gray" if group is others else "tab:blue"
        points = sorted((trial.values[1], trial.values[0]) for trial in group)
        axes.plot(*zip(*points or [(float("nan"),) * 2]), style, color=colour, label=label)
    for trial in front:
        axes.annotate(f" {trial.number}", (trial.values[1], trial.values[0]), fontsize="small")
    first = trials[0]
    axes.plot(first.values[1], first.values[0], "s", color="tab:red", label="untuned")
    names = [as_plain_text(long_name(name)) for name in objectives]
    axes.set_xlabel(f"{names[1]} (ms)" if objectives[1] == TIME else f"validation {names[1]}")
    axes.set_ylabel(f"{names[0]} (ms)" if objectives[0] == TIME else f"validation {names[0]}")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")


def _draw_importance(axes: Axes, importance: Mapping[str, float]) -> None:
    """Bars of the largest shares, the largest at the top."""
    keys = list(importance)[:MOST_BARS][::-1]
    axes.barh([as_plain_text(key) for key in keys], [importance[key] for key in keys])
    axes.set_xlabel("importance (PED-ANOVA)")
    axes.grid(alpha=0.3, axis="x")
