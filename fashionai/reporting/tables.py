"""Tables for terminals of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Optional, Union

import numpy as np

from fashionai.errors import counted
from fashionai.metrics import precisions, recalls
from fashionai.runs import ListedCrossValidation, Run
from fashionai.scoring.probabilities.calibration import CalibrationFigures
from fashionai.tasks import Task
from fashionai.text_width import keep_end, left_aligned, right_aligned, text_width

WIDTH = 80
RUN_SCORES = ("map", "accuracy")
# A run with more tasks than this shows their number instead of their names.
MOST_NAMES = 3
# The names of the lines with the ends of confidence intervals.
INTERVAL_NAMES = ("  95 % from", "         to")

# A column's heading and its width.
Column = tuple[str, int]

# What a line of the table of runs is sorted by, the name of the run, and the other cells.
RunLine = tuple[tuple[bool, list[str], bool, float], str, list[str]]
# A name, a number of images or another cell, and scores; a score without a value is left empty.
ScoreRow = tuple[str, Union[int, str], Mapping[str, float]]

# The key of each score, its heading and the width of its column.
SCORE_COLUMNS = (
    ("map", "mAP", 8),
    ("basic_precision", "basic prec", 12),
    ("accuracy", "accuracy", 10),
    ("mrr", "MRR", 9),
    ("log_loss", "log loss", 10),
)


def aligned_table(
    heading: str, columns: Sequence[Column], rows: Sequence[tuple[str, Sequence[object]]]
) -> str:
    """A table of rows (name, cells): names are left-aligned, cells right-aligned.

    Integers are written with thousands separators. A name that does not fit 80 columns is
    shortened at its beginning.
    """
    room = WIDTH - sum(size for _, size in columns)
    names = [keep_end(name, room) for name, _ in rows]
    width = max(text_width(name) for name in (heading, *names))
    lines = [left_aligned(heading, width) + "".join(f"{title:>{size}}" for title, size in columns)]
    for name, (_, cells) in zip(names, rows):
        texts = (f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells)
        row = "".join(right_aligned(text, size) for text, (_, size) in zip(texts, columns))
        lines.append((left_aligned(name, width) + row).rstrip())
    return "\n".join(lines)


def wrapped(text: str) -> str:
    """The text in lines of 80 columns; further lines of a list item (``- ``) are indented."""
    indent = "  " if text.startswith("- ") else ""
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)


def with_intervals(row: ScoreRow, intervals: Mapping[str, tuple[float, float]]) -> list[ScoreRow]:
    """A row, and below it the ends of the confidence intervals of its scores, if there are any."""
    if not intervals:
        return [row]
    low, high = ({key: ends[at] for key, ends in intervals.items()} for at in (0, 1))
    return [row, (INTERVAL_NAMES[0], "", low), (INTERVAL_NAMES[1], "", high)]


def score_table(
    rows: Sequence[ScoreRow],
    headings: tuple[str, str] = ("task", "N"),
) -> str:
    """One line per row, with the scores in columns."""
    columns = [(headings[1], 8), *((title, size) for _, title, size in SCORE_COLUMNS)]
    lines = [
        (name, [cell, *(f"{scores[key]:.4f}" for key, _, _ in SCORE_COLUMNS)])
        for name, cell, scores in rows
    ]
    return aligned_table(headings[0], columns, lines)


def balance_table(
    rows: Sequence[tuple[str, np.ndarray, Mapping[str, float], Mapping[str, tuple[float, float]]]],
) -> str:
    """Accuracy beside three scores that show whether classes are imbalanced.

    They are the accuracy of always predicting the most frequent class (majority), balanced
    accuracy and ROC AUC. ``rows`` are (name, confusion matrix, scores, their intervals). Accuracies
    are those of the matrix: their intervals are shown where they are those of the scores, too.
    """
    columns = [("accuracy", 10), ("majority", 10), ("balanced", 10), ("ROC AUC", 9)]
    lines: list[tuple[str, list[str]]] = []
    for name, matrix, scores, intervals in rows:
        accuracy, majority = np.trace(matrix), matrix.sum(axis=1).max()
        numbers = [share / matrix.sum() for share in (accuracy, majority)]
        numbers += [np.nanmean(recalls(matrix)), scores.get("roc_auc", np.nan)]
        lines.append((name, [_number(number) for number in numbers]))
        shown = ["accuracy", "", "balanced_accuracy", "roc_auc"]
        if scores.get("accuracy") != numbers[0]:
            shown[:3] = ["", "", ""]
        for at, end in enumerate(INTERVAL_NAMES if intervals else ()):
            cells = [_number(intervals[key][at]) if key in intervals else "" for key in shown]
            lines.append((end, cells))
    return aligned_table("task", columns, lines)


def calibration_table(rows: Sequence[tuple[str, Sequence[CalibrationFigures]]]) -> str:
    """The expected calibration error beside log loss and mAP, by the name of the task.

    A task whose probabilities were calibrated has a line before and one after that.
    """
    columns = [("error", 10), ("log loss", 10), ("mAP", 9)]
    lines = []
    for name, several in rows:
        for figures in several:
            title = f"{name}, {figures.stage}" if len(several) > 1 else name
            lines.append((title, [_number(value) for value in figures[1:]]))
    return aligned_table("calibration", columns, lines)


def detection_table(
    rows: Sequence[tuple[str, Optional[float], float, float, float]],
) -> str:
    """Scores of detection: rows are (name, threshold, precision, recall, accuracy)."""
    columns = [("threshold", 12), ("precision", 11), ("recall", 10), ("accuracy", 10)]
    lines = [
        (name, ["-" if threshold is None else f"{threshold:g}", *map(_number, scores)])
        for name, threshold, *scores in rows
    ]
    return aligned_table("detection", columns, lines)


def class_table(matrix: np.ndarray, classes: Sequence[str]) -> str:
    """Number of images and predictions, recall and precision per class; a dash for 0 / 0."""
    columns = [("N", 10), ("predicted", 11), ("recall", 9), ("precision", 11)]
    shares = zip(recalls(matrix), precisions(matrix))
    lines = [
        (
            name,
            [
                int(matrix[index].sum()),
                int(matrix[:, index].sum()),
                *map(_number, pair),
            ],
        )
        for index, (name, pair) in enumerate(zip(classes, shares))
    ]
    return aligned_table("class", columns, lines)


def confusion_table(matrix: np.ndarray, classes: Sequence[str]) -> str:
    """The confusion matrix: true classes in rows, predicted classes in numbered columns.

    If the columns do not fit the terminal, the confused pairs are listed instead, the most
    frequent first.
    """
    names = [f"{index} {name}" for index, name in enumerate(classes)]
    width = max(text_width(name) for name in (*names, "true / predicted"))
    cell = max(6, len(f"{matrix.max():,}") + 1)
    if width + cell * len(classes) > WIDTH:
        return _confused_pairs(matrix, classes)
    columns = "".join(f"{index:>{cell}}" for index in range(len(classes)))
    lines = ["true / predicted".ljust(width) + columns]
    for name, row in zip(names, matrix):
        lines.append(left_aligned(name, width) + "".join(f"{count:>{cell},}" for count in row))
    return "\n".join(lines)


def _confused_pairs(matrix: np.ndarray, classes: Sequence[str]) -> str:
    pairs = [(-int(matrix[t, p]), t, p) for t, p in np.argwhere(matrix).tolist() if t != p]
    lines = [(f"{classes[t]} / {classes[p]}", [-count]) for count, t, p in sorted(pairs)]
    return aligned_table("true / predicted", [("N", 10)], lines)


def task_lines(task: Task, state: str) -> list[str]:
    """The names of a task, its number of classes and its state; below, its classes."""
    names = ", ".join(dict.fromkeys((task.name, *task.aliases)))
    classes = ", ".join(task.classes)
    wrapped = textwrap.wrap(classes, WIDTH, initial_indent="  ", subsequent_indent="  ")
    return [f"{names}: {counted(len(task.classes), 'class')}, {state}", *wrapped]


def run_table(runs: Sequence[Run], cross_validations: Sequence[ListedCrossValidation] = ()) -> str:
    """One line per run and cross-validation, sorted by tasks and then by mAP, the highest first.

    A star marks finished ones, ``!`` those whose loss was not finite in the end. Runs
    without an epoch are the last ones of their tasks, and those that have no classes yet are the
    last of all, with ``?`` as task.
    """
    lines = [_run_line(run) for run in runs] + [_folds_line(each) for each in cross_validations]
    columns = [("task", 22), ("epochs", 18), ("mAP", 8), ("accuracy", 10)]
    ordered = [(name, cells) for _, name, cells in sorted(lines)]
    failed = ", ! failed" if any(_mark(run) == "!" for run in runs) else ""
    return aligned_table("run", columns, ordered) + f"\n* finished{failed}"


def _mark(run: Run) -> str:
    if run.is_finished:
        return "*"
    return "!" if run.has_diverged else ""


def _run_line(run: Run) -> RunLine:
    is_known = run.folder.classes_file.is_file()
    tasks = run.tasks if is_known else ()
    return _line(
        str(run), tasks, f"{run.epochs_done}{_mark(run)}", run.metrics.get("best", {}), run.metrics
    )


def _folds_line(found: ListedCrossValidation) -> RunLine:
    done = f"{found.folds} folds*"
    if found.finished < found.folds or not found.scores:
        done = f"{found.finished} of {found.folds} folds"
    return _line(str(found.path), found.tasks, done, found.scores, found.scores)


def _line(
    name: str,
    tasks: Sequence[Task],
    done: str,
    best: Mapping[str, Optional[float]],
    metrics: Mapping[str, object],
) -> RunLine:
    """What a line is sorted by, its name and its cells."""
    names = [task.short_name for task in tasks] or ["?"]
    listed = ", ".join(names) if len(names) <= MOST_NAMES else counted(len(names), "task")
    scores = [best.get(key) for key in RUN_SCORES]
    cells = [listed, done, *("-" if each is None else f"{each:.4f}" for each in scores)]
    return (not tasks, names, not metrics, -(best.get("map") or 0.0)), name, cells


def _number(value: float) -> str:
    """Four decimals, or a dash for NaN."""
    return "-" if np.isnan(value) else f"{value:.4f}"
