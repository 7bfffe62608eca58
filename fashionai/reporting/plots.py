"""Plots of training: the curves of a run, of folds and of a learning rate range test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fashionai.files import atomic_path
from fashionai.files.outputs import PNG_METADATA
from fashionai.metrics import SCORE_NAMES
from fashionai.runs import RunFolder
from fashionai.text_width import keep_end
from fashionai.training.records.history import read_rows

# Width and height in inches of two plots side by side.
SIZE = (9.0, 3.6)
# Characters of a title that fit the width.
TITLE_LENGTH = 80
# Lines of a legend that fit the height.
LEGEND_LINES = 14
# Columns of history.csv and what they are called on plots of losses and of scores.
LOSS_CURVES = (
    ("train_loss", "training"),
    ("val_log_loss", "validation"),
    ("ema_log_loss", "validation, averaged weights"),
)
SCORE_CURVES = (
    ("train_accuracy", "training accuracy"),
    ("val_accuracy", "validation accuracy"),
    ("val_map", "validation mAP"),
    ("ema_map", "validation mAP, averaged weights"),
)


def draw_history(run: RunFolder) -> Path:
    """Plot a run's losses, accuracies and mAP over its epochs; returns its file ``curves.png``."""
    columns = read_history(run)
    figure = Figure(figsize=SIZE, layout="constrained")
    losses, scores = figure.subplots(1, 2)
    for axes, curves in ((losses, LOSS_CURVES), (scores, SCORE_CURVES)):
        for name, label in curves:
            if name in columns:
                marker = _marker(columns["epoch"])
                axes.plot(columns["epoch"], columns[name], label=label, marker=marker)
    for axes, label in ((losses, "loss"), (scores, "score")):
        _finish_epochs(axes, label)
        axes.legend(fontsize="small")
    _set_title(figure, run.path)
    return save_figure(figure, run.path / "curves.png")


def draw_folds(runs: Sequence[RunFolder], path: Path, monitor: str) -> Path:
    """Plot the validation loss and the monitored score of every fold, and their means."""
    figure = Figure(figsize=SIZE, layout="constrained")
    histories = [read_history(run) for run in runs]
    names = dict.fromkeys(("log_loss", "map" if monitor == "log_loss" else monitor))
    both = figure.subplots(1, 2)
    for axes, name in zip(both, names):
        _plot_folds(axes, [run.path.name for run in runs], histories, f"val_{name}")
        task, _, score = name.rpartition(".")
        _finish_epochs(axes, f"validation {task} {SCORE_NAMES[score]}".replace("  ", " "))
    # Beside the curves: with one line per fold it would hide them.
    both[-1].legend(
        loc="upper left",
        bbox_to_anchor=(1, 1),
        fontsize="small",
        frameon=False,
        ncol=math.ceil((len(runs) + 1) / LEGEND_LINES),
    )
    _set_title(figure, path.parent)
    return save_figure(figure, path)


def _plot_folds(
    axes: Axes, labels: Sequence[str], histories: Sequence[dict[str, list[float]]], column: str
) -> None:
    """Plot one column of every fold's history over its epochs, and the mean over folds."""
    axes.set_prop_cycle(color=colormaps["turbo"](np.linspace(0.1, 0.9, len(labels))))
    for label, history in zip(labels, histories):
        epochs = history["epoch"]
        axes.plot(epochs, history[column], label=label, marker=_marker(epochs), alpha=0.7)
    # Folds may stop early: the mean covers the epochs that all folds have.
    shared = min(len(history["epoch"]) for history in histories)
    mean = np.mean([history[column][:shared] for history in histories], axis=0)
    epochs = histories[0]["epoch"][:shared]
    axes.plot(epochs, mean, color="black", linewidth=2, label="mean", marker=_marker(epochs))


def draw_range_test(
    path: Path,
    rates: np.ndarray,
    losses: np.ndarray,
    smoothed: np.ndarray,
    suggestion: Optional[float],
) -> Path:
    """Plot losses over learning rates, each ``(S,)``, and mark the suggested rate."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(rates, losses, color="tab:gray", alpha=0.4, linewidth=1, label="loss per batch")
    axes.plot(rates, smoothed, color="tab:blue", linewidth=2, label="smoothed")
    if suggestion is not None:
        label = f"steepest decrease: {suggestion:.2g}"
        axes.axvline(suggestion, color="tab:red", linestyle="--", label=label)
    axes.set_xscale("log")
    # A loss that has diverged would flatten the curve before it.
    low, begin = losses.min(), np.median(losses[: max(1, len(losses) // 4)])
    axes.set_ylim(low - 0.05 * begin, begin + 0.6 * (begin - smoothed.min()) + 0.1 * begin)
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="lower left")
    return save_figure(figure, path)


def read_history(run: RunFolder) -> dict[str, list[float]]:
    """The columns of a run's history.csv, one number per epoch; errors as for read_rows."""
    rows = read_rows(run)
    return {name: [row[name] for row in rows] for name in rows[0]}


def _marker(epochs: Sequence[float]) -> str:
    """A marker for a single epoch, which a line does not show."""
    return "o" if len(epochs) == 1 else ""


def _finish_epochs(axes: Axes, ylabel: str) -> None:
    axes.set_xlabel("epoch")
    axes.set_ylabel(ylabel)
    axes.locator_params(axis="x", integer=True, min_n_ticks=1)
    axes.grid(alpha=0.3)


def _set_title(figure: Figure, folder: Path) -> None:
    figure.suptitle(as_plain_text(keep_end(str(folder), TITLE_LENGTH)), fontsize="medium")


def as_plain_text(text: str) -> str:
    """A name as matplotlib shows it unchanged: text between two dollars would be a formula."""
    return text.replace("$", r"\$")


def save_figure(figure: Figure, path: Path, dpi: float = 120) -> Path:
    """Write a figure as a PNG that is marked as one of this project; returns the path."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=dpi, metadata=PNG_METADATA)
    return path
