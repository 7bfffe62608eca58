"""A table of runs that is drawn anew while they train, with the curve of each score."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from fashionai.errors import FashionAIError
from fashionai.files.locks import LOCK_FILE, is_locked
from fashionai.reporting.tables import Column, aligned_table
from fashionai.runs import Run, find_runs
from fashionai.training.estimate import duration

BARS = "▁▂▃▄▅▆▇█"
# The characters of a curve, and the column of history.csv that it shows.
CURVE_WIDTH, CURVE_COLUMN = 16, "val_map"
COLUMNS: list[Column] = [
    ("state", 12),
    ("epochs", 9),
    ("mAP", 8),
    ("left", 12),
    ("mAP by epoch", CURVE_WIDTH + 2),
]
SECONDS_BETWEEN_TABLES = 2.0


class History(NamedTuple):
    """The scores and the seconds of the finished epochs."""

    scores: list[float]
    seconds: list[float]


def watch(
    folder: Path, show: Callable[[str], None], wait: Callable[[float], None] = time.sleep
) -> None:
    """Show the table of a folder's runs each time that it has changed, until ``wait`` raises."""
    shown = ""
    while True:
        table = live_table(find_runs(folder))
        if table != shown:
            show(table)
            shown = table
        wait(SECONDS_BETWEEN_TABLES)


def live_table(runs: Sequence[Run]) -> str:
    """One line per run: whether it trains now, how far it is, and the curve of its mAP.

    Runs that train come first. The time left is that of the remaining epochs, each as long as those
    before on average.
    """
    lines = []
    for run in runs:
        try:
            lines.append(_line(run))
        except FashionAIError:  # a file is damaged, or written just now
            lines.append((2, str(run), ["unreadable", "", "", "", ""]))
    rows = [(name, cells) for _, name, cells in sorted(lines)]
    return aligned_table("run", COLUMNS, rows) if rows else "no runs yet"


def _line(run: Run) -> tuple[int, str, list[str]]:
    """What the line is sorted by, the name, and the cells."""
    history, epochs = read_history(run.folder.history_file), run.config.epochs
    done = len(history.scores)
    running = is_locked(run.path / LOCK_FILE)
    state = "running" if running else "finished" if run.is_finished else "stopped"
    left = ""
    if running and done:
        left = duration((epochs - done) * sum(history.seconds) / done)
    known = [score for score in history.scores if not math.isnan(score)]
    best = f"{max(known):.4f}" if known else "-"
    cells = [state, f"{done}/{epochs}", best, left, curve(history.scores)]
    return 0 if running else 1, str(run), cells


def read_history(file: Path) -> History:
    """The finished epochs of history.csv; none where it is not there yet."""
    try:
        with open(file, encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle))
        return History(
            [float(row[CURVE_COLUMN]) for row in rows], [float(row["seconds"]) for row in rows]
        )
    except (OSError, KeyError, ValueError, TypeError):
        return History([], [])


def curve(values: Sequence[float], width: int = CURVE_WIDTH) -> str:
    """Values as a line of bars, the lowest and the highest value as the lowest and highest bar.

    Of more values than ``width`` each bar is the mean of neighbours. NaN is a space.
    """
    bars = min(len(values), width)
    ends = [round(number * len(values) / bars) for number in range(bars + 1)] if bars else []
    means = [_mean(values[start:end]) for start, end in zip(ends, ends[1:])]
    known = [mean for mean in means if not math.isnan(mean)]
    if not known:
        return " " * bars
    low, height = min(known), max(known) - min(known)
    return "".join(
        " " if math.isnan(mean) else BARS[_level((mean - low) / height if height else 0.0)]
        for mean in means
    )


def _level(share: float) -> int:
    return min(len(BARS) - 1, int(share * len(BARS)))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
