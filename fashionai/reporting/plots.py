"""Plots of what training did: curves of a run, of folds, of a range test."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import numpy as np
from matplotlib.figure import Figure

from fashionai.files import atomic_path
from fashionai.metrics import SCORE_NAMES
from fashionai.runs import RunFolder


def draw_history(run: RunFolder) -> Path:
    """Draw a run's losses, accuracies and mAP over its epochs to ``curves.png`` in it."""
    columns = _read_history(run)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    curves = [
        (losses, "train_loss", "training"),
        (losses, "val_log_loss", "validation"),
        (losses, "ema_log_loss", "validation, averaged weights"),
        (scores, "train_accuracy", "training accuracy"),
        (scores, "val_accuracy", "validation accuracy"),
        (scores, "val_map", "validation mAP"),
        (scores, "ema_map", "validation mAP, averaged weights"),
    ]
    for axes, name, label in curves:
        if name in columns:
            axes.plot(columns["epoch"], columns[name], label=label, marker=_marker(columns))
    losses.set_ylabel("loss")
    for axes in (losses, scores):
        _finish(axes, "epoch")
    figure.suptitle(str(run))
    return _save(figure, run.path / "curves.png")


def draw_folds(runs: Sequence[RunFolder], path: Path, monitor: str) -> Path:
    """Draw the validation loss and the monitored score of every fold, and their means."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    histories = [_read_history(run) for run in runs]
    names = dict.fromkeys(("log_loss", "map" if monitor == "log_loss" else monitor))
    for axes, name in zip(figure.subplots(1, 2), names):
        for run, columns in zip(runs, histories):
            axes.plot(columns["epoch"], columns[f"val_{name}"], label=run.path.name, alpha=0.6)
        # Folds may stop early: the mean is over epochs that all of them have.
        shared = min(len(columns["epoch"]) for columns in histories)
        mean = np.mean([columns[f"val_{name}"][:shared] for columns in histories], axis=0)
        axes.plot(histories[0]["epoch"][:shared], mean, color="black", label="mean")
        task, _, score = name.rpartition(".")
        axes.set_ylabel(f"validation {task} {SCORE_NAMES[score]}".replace("  ", " "))
        _finish(axes, "epoch")
    figure.suptitle(str(path.parent))
    return _save(figure, path)


def draw_range_test(
    path: Path,
    rates: np.ndarray,
    losses: np.ndarray,
    smoothed: np.ndarray,
    suggestion: Optional[float],
) -> Path:
    """Draw losses over rates, ``(S,)`` each, with the suggested rate marked."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(rates, losses, color="tab:gray", alpha=0.4, linewidth=1, label="loss of a batch")
    axes.plot(rates, smoothed, color="tab:blue", label="smoothed")
    if suggestion is not None:
        axes.axvline(
            suggestion, color="tab:red", linestyle="--", label=f"steepest: {suggestion:.2g}"
        )
    axes.set_xscale("log")
    # A loss that has exploded would flatten everything before it.
    low, begin = smoothed.min(), np.median(losses[: max(1, len(losses) // 4)])
    axes.set_ylim(low - 0.1 * begin, begin + 0.6 * (begin - low) + 0.1 * begin)
    axes.set_ylabel("training loss")
    _finish(axes, "learning rate")
    return _save(figure, path)


def _read_history(run: RunFolder) -> dict[str, list[float]]:
    with open(run.history_file, encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


def _marker(columns: dict[str, list[float]]) -> str:
    """A line of a single epoch would not be seen."""
    return "o" if len(columns["epoch"]) == 1 else ""


def _finish(axes: object, xlabel: str) -> None:
    axes.set_xlabel(xlabel)  # type: ignore[attr-defined]
    if xlabel == "epoch":
        axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[attr-defined]
    axes.grid(alpha=0.3)  # type: ignore[attr-defined]
    axes.legend(fontsize="small")  # type: ignore[attr-defined]


def _save(figure: Figure, path: Path) -> Path:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    return path
