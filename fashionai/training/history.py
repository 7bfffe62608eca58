"""What happened so far: a row an epoch, the best of them, and the files that tell it."""

from __future__ import annotations

import math
from typing import Any, Optional

from fashionai.config import Config
from fashionai.csv_files import write_rows
from fashionai.files import write_json
from fashionai.runs import RunFolder
from fashionai.tasks import Task

EPOCH_HEADER = "  epoch  train loss  validation loss  accuracy     mAP  images/s  learning rate"

# Validation scores by the names of history.csv's columns, and what people call them.
SCORE_NAMES = {
    "map": "mAP",
    "accuracy": "accuracy",
    "basic_precision": "basic precision",
    "mrr": "MRR",
}


def best_row(rows: list[dict[str, float]], monitor: str) -> Optional[dict[str, float]]:
    """The first row with the largest monitored score; scores that are not a number lose."""
    if not rows:
        return None
    return max(rows, key=lambda row: _comparable(row[f"val_{monitor}"]))


def epoch_line(row: dict[str, float], epochs: int) -> str:
    """An epoch's row for the terminal, below EPOCH_HEADER."""
    number = f"{row['epoch']}/{epochs}"
    return (
        f"{number:>7}{row['train_loss']:>12.4f}{row['val_loss']:>17.4f}{row['val_accuracy']:>10.4f}"
        f"{row['val_map']:>8.4f}{row['images_per_second']:>10.1f}{row['learning_rate']:>15.3g}"
    )


def write_history(run: RunFolder, config: Config, task: Task, rows: list[dict[str, float]]) -> None:
    """Write history.csv and metrics.json from the rows of all epochs so far."""
    write_rows(run.history_file, [list(rows[0]), *(row.values() for row in rows)])
    write_json(run.metrics_file, _metrics(config, task, rows))


def _metrics(config: Config, task: Task, rows: list[dict[str, float]]) -> dict[str, Any]:
    best = best_row(rows, config.monitor)
    assert best is not None
    return {
        "task": task.name,
        "finished": len(rows) == config.epochs,
        "epochs": len(rows),
        "monitor": config.monitor,
        "best_epoch": best["epoch"],
        "best": {name: best[f"val_{name}"] for name in (*SCORE_NAMES, "loss")},
        "seconds": sum(row["seconds"] for row in rows),
    }


def _comparable(score: float) -> float:
    return -math.inf if math.isnan(score) else score
