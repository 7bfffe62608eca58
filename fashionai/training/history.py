"""What happened so far: a row an epoch, the best of them, and the files that tell it.

A row holds scores of the plain weights as ``val_<score>``, with averaged weights
theirs as ``ema_<score>``, and those of the test split as ``test_<score>``, which
nothing is chosen by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

from fashionai.config import Config
from fashionai.csv_files import write_rows
from fashionai.files import write_json
from fashionai.metrics import LOWER_IS_BETTER, SCORE_NAMES
from fashionai.runs import RunFolder
from fashionai.tasks import Task

EPOCH_HEADER = "  epoch  train loss  validation loss  accuracy     mAP  images/s  learning rate"

COLLAPSED = "collapsed: every validation image gets one class (lr too high? lopsided?)"

Row = dict[str, float]


class Best(NamedTuple):
    """The best epoch of one kind of weights: val (plain) or ema (averaged)."""

    kind: str
    row: Row
    score: float


def score_name(monitor: str) -> str:
    """What people call a monitored score: ``mAP``, or ``skirt mAP`` of one task among several."""
    task, _, score = monitor.rpartition(".")
    return f"{task} {SCORE_NAMES[score]}".strip()


def find_best(rows: Sequence[Row], monitor: str, kind: str = "val") -> Best:
    """The row with the best monitored score; scores that are not a number lose.

    Of equal scores, which small validation splits have, that of the smallest loss is
    the best, and of equal losses the first.
    """
    row = max(rows, key=lambda row: _merit(row, monitor, kind))
    return Best(kind, row, row[f"{kind}_{monitor}"])


def choose_best(rows: Sequence[Row], monitor: str) -> Best:
    """The better of the best plain and the best averaged weights, the first of equals."""
    bests = [find_best(rows, monitor, kind) for kind in kinds_of(rows[0])]
    return max(bests, key=lambda best: _merit(best.row, monitor, best.kind))


def best_file(run: RunFolder, kind: str) -> Path:
    """Where the best weights of a kind are."""
    return run.best_averaged_parameters if kind == "ema" else run.best_parameters


def kinds_of(row: Row) -> list[str]:
    """The kinds of weights that a row has scores of."""
    return [kind for kind in ("val", "ema") if f"{kind}_map" in row]


def is_over(config: Config, rows: Sequence[Row]) -> bool:
    """Whether all epochs are done, or the monitored score has stopped to improve."""
    return len(rows) >= config.epochs or stopped_early(config, rows)


def stopped_early(config: Config, rows: Sequence[Row]) -> bool:
    """Whether epochs are left out as ``patience`` of them gained no more than ``min_delta``.

    With averaged weights an epoch counts by the better of its two scores.
    """
    patience = config.early_stopping.patience
    best, waited = -math.inf, 0
    for row in rows:
        score = max(_goodness(row, config.monitor, kind) for kind in kinds_of(row))
        if score > best + config.early_stopping.min_delta:
            best, waited = score, 0
        else:
            waited += 1
    return patience is not None and waited >= patience and len(rows) < config.epochs


def epoch_lines(row: Row, epochs: int) -> list[str]:
    """An epoch's row for the terminal, below EPOCH_HEADER.

    A second line has the scores of averaged weights, a third those of the test.
    """
    number = f"{row['epoch']}/{epochs}"
    lines = [
        f"{number:>7}{row['train_loss']:>12.4f}{_columns(row, 'val')}"
        f"{row['images_per_second']:>10.1f}{row['learning_rate']:>15.3g}"
    ]
    for kind, name in (("ema", "averaged"), ("test", "test")):
        if f"{kind}_map" in row:
            lines.append(f"{name:>19}{_columns(row, kind)}")
    return lines


def just_collapsed(rows: Sequence[Row], epochs: int) -> bool:
    """Whether the last epoch is the first after the beginning to answer one class alone."""
    alone = [row["val_answered_classes"] == 1 for row in rows]
    return alone[-1] and (epochs == 1 or len(rows) == 2 or (len(rows) > 2 and not alone[-2]))


def write_history(
    run: RunFolder, config: Config, tasks: list[Task], rows: list[Row], test: Optional[Row] = None
) -> None:
    """Write history.csv and metrics.json from the rows of all epochs so far.

    ``test`` are scores of the test split by the best weights, where there are any.
    """
    write_rows(run.history_file, [list(rows[0]), *(row.values() for row in rows)])
    metrics = _metrics(run, config, tasks, rows)
    write_json(run.metrics_file, {**metrics, "test": test} if test else metrics)


def _metrics(run: RunFolder, config: Config, tasks: list[Task], rows: list[Row]) -> dict[str, Any]:
    found = {kind: find_best(rows, config.monitor, kind) for kind in kinds_of(rows[0])}
    chosen = choose_best(rows, config.monitor)
    files = {kind: best_file(run, kind).name for kind in found}
    return {
        "finished": is_over(config, rows),
        "stopped_early": stopped_early(config, rows),
        "epochs": len(rows),
        "monitor": config.monitor,
        "weights": files[chosen.kind],
        "best_epoch": chosen.row["epoch"],
        "best": _scores_of(chosen),
        "tasks": {
            task.name: _scores_of(chosen, f"{task.short_name}." if len(tasks) > 1 else "")
            for task in tasks
        },
        "by_weights": {
            files[kind]: {"best_epoch": best.row["epoch"], **_scores_of(best)}
            for kind, best in found.items()
        },
        "seconds": sum(row["seconds"] for row in rows),
    }


def _scores_of(best: Best, task: str = "") -> Row:
    return {name: best.row[f"{best.kind}_{task}{name}"] for name in SCORE_NAMES}


def _columns(row: Row, kind: str) -> str:
    loss, accuracy, ap = (row[f"{kind}_{name}"] for name in ("log_loss", "accuracy", "map"))
    return f"{loss:>17.4f}{accuracy:>10.4f}{ap:>8.4f}"


def _merit(row: Row, monitor: str, kind: str) -> tuple[float, float]:
    """What rows are ordered by: the monitored score, then the loss."""
    return _goodness(row, monitor, kind), _goodness(row, "log_loss", kind)


def _goodness(row: Row, monitor: str, kind: str) -> float:
    """The monitored score, turned round where less is better."""
    score = row[f"{kind}_{monitor}"]
    if math.isnan(score):
        return -math.inf
    return -score if monitor.rpartition(".")[2] in LOWER_IS_BETTER else score
