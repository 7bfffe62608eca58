"""What happened so far: a row an epoch, the best of them, and the files that tell it.

A row holds scores of the plain weights as ``val_<score>`` and, with averaged
weights, theirs as ``ema_<score>``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from fashionai.config import Config
from fashionai.csv_files import write_rows
from fashionai.files import write_json
from fashionai.metrics import LOWER_IS_BETTER, SCORE_NAMES
from fashionai.runs import RunFolder
from fashionai.tasks import Task

EPOCH_HEADER = "  epoch  train loss  validation loss  accuracy     mAP  images/s  learning rate"

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
    """The first row with the best monitored score; scores that are not a number lose."""
    row = max(rows, key=lambda row: _goodness(row, monitor, kind))
    return Best(kind, row, row[f"{kind}_{monitor}"])


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
    """An epoch's row for the terminal, below EPOCH_HEADER; a second line for averaged weights."""
    number = f"{row['epoch']}/{epochs}"
    lines = [
        f"{number:>7}{row['train_loss']:>12.4f}{_columns(row, 'val')}"
        f"{row['images_per_second']:>10.1f}{row['learning_rate']:>15.3g}"
    ]
    if "ema" in kinds_of(row):
        lines.append(f"{'averaged':>19}{_columns(row, 'ema')}")
    return lines


def write_history(run: RunFolder, config: Config, tasks: list[Task], rows: list[Row]) -> None:
    """Write history.csv and metrics.json from the rows of all epochs so far."""
    write_rows(run.history_file, [list(rows[0]), *(row.values() for row in rows)])
    write_json(run.metrics_file, _metrics(run, config, tasks, rows))


def _metrics(run: RunFolder, config: Config, tasks: list[Task], rows: list[Row]) -> dict[str, Any]:
    found = {kind: find_best(rows, config.monitor, kind) for kind in kinds_of(rows[0])}
    chosen = max(found.values(), key=lambda best: _goodness(best.row, config.monitor, best.kind))
    files = {"val": run.best_parameters.name, "ema": run.best_averaged_parameters.name}
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


def _goodness(row: Row, monitor: str, kind: str) -> float:
    """The monitored score, turned round where less is better."""
    score = row[f"{kind}_{monitor}"]
    if math.isnan(score):
        return -math.inf
    return -score if monitor.rpartition(".")[2] in LOWER_IS_BETTER else score
