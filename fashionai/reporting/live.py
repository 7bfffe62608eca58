"""A table of runs that is drawn anew while they train, with the curve of each score."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Optional, TypeVar

from fashionai.errors import FashionAIError, RunError, counted
from fashionai.files.locks import LOCK_FILE, is_locked
from fashionai.reporting.tables import Column, aligned_table
from fashionai.runs import (
    Run,
    RunFolder,
    find_cross_validation_folders,
    find_folds,
    find_runs,
    mean_scores,
)
from fashionai.training.records.history import read_rows
from fashionai.training.speed.estimate import duration

T = TypeVar("T")

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


RUNNING, FINISHED, FAILED, STOPPED, WAITING, UNREADABLE = (
    "running",
    "finished",
    "failed",
    "stopped",
    "waiting",
    "unreadable",
)


class History(NamedTuple):
    """The scores and the seconds of the finished epochs."""

    scores: list[float]
    seconds: list[float]


class Training(NamedTuple):
    """How far a run is.

    Its state, its finished epochs, the number that is configured, and the mAP of the weights that
    are kept, if there are any.
    """

    state: str
    history: History
    epochs: int
    kept: Optional[float]

    @property
    def done(self) -> int:
        """The number of finished epochs."""
        return len(self.history.scores)


# The name and the cells of a line, and whether it is one of a training that runs.
Line = tuple[bool, str, list[str]]


def watch(
    folder: Path, show: Callable[[str], None], wait: Callable[[float], None] = time.sleep
) -> None:
    """Show the table of a folder's runs each time that it has changed, until ``wait`` raises."""
    shown = ""
    while True:
        table = live_table(folder)
        if table != shown:
            show(table)
            shown = table
        wait(SECONDS_BETWEEN_TABLES)


def live_table(folder: Path) -> str:
    """One line per run: whether it trains now, how far it is, and the curve of its mAP.

    Runs that train come first. A cross-validation has a line, and below it one for each fold. The
    time left is that of the remaining epochs, each as long as those before on average.
    """
    groups = [_lines_of(_run_line, run) for run in find_runs(folder)]
    for path in find_cross_validation_folders(folder):
        groups.append(_lines_of(_fold_lines, path))
    # A group is where its running line would be, and keeps the order of its lines.
    groups.sort(key=lambda lines: (not any(running for running, _, _ in lines), lines[0][1]))
    rows = [(name, cells) for lines in groups for _, name, cells in lines]
    return aligned_table("run", COLUMNS, rows) if rows else "no runs yet"


def _lines_of(make: Callable[[T], list[Line]], place: T) -> list[Line]:
    try:
        return make(place)
    except FashionAIError:  # a file is damaged, or written just now
        return [(False, str(place), [UNREADABLE, "", "", "", ""])]


def _run_line(run: Run) -> list[Line]:
    if run.averaged_runs:  # it has no epochs of its own
        score = _cell(run.metrics["best"].get("map"))
        return [(False, str(run), [FINISHED, run.epochs_done, score, "", ""])]
    return [_line(str(run), _training(run))]


def _fold_lines(path: Path) -> list[Line]:
    """The line of a cross-validation, and those of its folds."""
    folds = [Run(folder) for folder in find_folds(path)]
    trainings = [_training(fold) for fold in folds]
    states = [each.state for each in trainings]
    running, done = states.count(RUNNING), sum(each.done for each in trainings)
    epochs = max(each.epochs for each in trainings) * len(folds)
    seconds = sum(sum(each.history.seconds) for each in trainings)
    cells = [
        f"{states.count(FINISHED)}/{counted(len(folds), 'fold')}",
        f"{done}/{epochs}",
        _cell(mean_scores(path).get("map")),
        duration((epochs - done) * seconds / done / running) if running and done else "",
        "",
    ]
    lines = [_line(f"  {fold.path.name}", each) for fold, each in zip(folds, trainings)]
    return [(running > 0, str(path), cells), *lines]


def _training(run: Run) -> Training:
    if not run.folder.has_begun:
        return Training(WAITING, History([], []), 0, None)
    kept = run.metrics.get("best", {}).get("map")
    return Training(_state(run), _history(run.folder), run.config.epochs, kept)


def _state(run: Run) -> str:
    if is_locked(run.path / LOCK_FILE):
        return RUNNING
    if run.is_finished:
        return FINISHED
    return FAILED if run.has_diverged else STOPPED


def _line(name: str, training: Training) -> Line:
    state, (scores, seconds), epochs, kept = training
    if state == WAITING:
        return False, name, [state, "", "", "", ""]
    left = ""
    if state == RUNNING and scores:
        left = duration((epochs - len(scores)) * sum(seconds) / len(scores))
    cells = [state, f"{len(scores)}/{epochs}", _cell(kept), left, curve(scores)]
    return state == RUNNING, name, cells


def _cell(score: Optional[float]) -> str:
    return "-" if score is None or math.isnan(score) else f"{score:.4f}"


def _history(run: RunFolder) -> History:
    """The finished epochs of a run; none where history.csv does not exist yet or is damaged."""
    try:
        rows = read_rows(run)
        return History([row[CURVE_COLUMN] for row in rows], [row["seconds"] for row in rows])
    except (OSError, RunError, KeyError):
        return History([], [])


def curve(values: Sequence[float]) -> str:
    """Values as a line of bars, the lowest and the highest value as the lowest and highest bar.

    Of more values than CURVE_WIDTH each bar is the mean of neighbours. NaN is a space.
    """
    bars = min(len(values), CURVE_WIDTH)
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
