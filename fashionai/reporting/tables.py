"""Tables for terminals of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Optional, Union

import numpy as np

from fashionai.metrics import precisions, recalls
from fashionai.runs import Run
from fashionai.tasks import Task

WIDTH = 80
RUN_SCORES = ("map", "accuracy")
# More tasks than this are counted, not named.
MOST_NAMES = 3

# A column's heading and its width.
Column = tuple[str, int]

# Score, its heading, and the column's width.
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
    """Lines of a name at the left and cells at the right.

    Whole numbers get commas. Names that do not fit 80 columns lose their beginning.
    """
    room = WIDTH - sum(size for _, size in columns)
    names = [keep_end(name, room) for name, _ in rows]
    width = max(len(name) for name in (heading, *names))
    lines = [heading.ljust(width) + "".join(f"{title:>{size}}" for title, size in columns)]
    for name, (_, cells) in zip(names, rows):
        texts = (f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells)
        padded = "".join(f"{text:>{size}}" for text, (_, size) in zip(texts, columns))
        lines.append((name.ljust(width) + padded).rstrip())
    return "\n".join(lines)


def wrapped(text: str) -> str:
    """A paragraph; the lines of an item of a list, which begins with a dash, are indented."""
    indent = "  " if text.startswith("- ") else ""
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)


def score_table(
    rows: Sequence[tuple[str, Union[int, str], Mapping[str, float]]],
    headings: tuple[str, str] = ("task", "N"),
) -> str:
    """One line for each (name, number of images or another cell, scores)."""
    columns = [(headings[1], 8), *((title, size) for _, title, size in SCORE_COLUMNS)]
    lines = [
        (name, [cell, *(f"{scores[key]:.4f}" for key, _, _ in SCORE_COLUMNS)])
        for name, cell, scores in rows
    ]
    return aligned_table(headings[0], columns, lines)


def balance_table(rows: Sequence[tuple[str, np.ndarray, float]]) -> str:
    """Accuracy beside that of always answering the most frequent label, and what sees through it.

    ``rows`` are (name, confusion matrix, ROC AUC).
    """
    columns = [("accuracy", 10), ("majority", 10), ("balanced", 10), ("ROC AUC", 9)]
    lines = []
    for name, matrix, area in rows:
        accuracy, majority = np.trace(matrix), matrix.sum(axis=1).max()
        numbers = [share / matrix.sum() for share in (accuracy, majority)]
        numbers += [np.nanmean(recalls(matrix)), area]
        lines.append((name, [_number(number) for number in numbers]))
    return aligned_table("task", columns, lines)


def figures_table(
    rows: Sequence[tuple[str, Optional[float], float, float, float]],
) -> str:
    """Lines of (name, threshold, precision, recall, accuracy) of detecting what is looked for."""
    columns = [("threshold", 12), ("precision", 11), ("recall", 10), ("accuracy", 10)]
    lines = [
        (name, ["-" if threshold is None else f"{threshold:g}", *map(_number, figures)])
        for name, threshold, *figures in rows
    ]
    return aligned_table("answers", columns, lines)


def class_table(matrix: np.ndarray, classes: Sequence[str]) -> str:
    """Rows, recall and precision of every class; a dash where there is nothing to divide by."""
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
    """Counts with the true class by row and the predicted class by (numbered) column.

    Where the columns do not fit the terminal: the pairs that are confused, most often first.
    """
    names = [f"{index} {name}" for index, name in enumerate(classes)]
    width = max(len(name) for name in (*names, "true / predicted"))
    cell = max(6, len(f"{matrix.max():,}") + 1)
    if width + cell * len(classes) > WIDTH:
        return _confused_pairs(matrix, classes)
    columns = "".join(f"{index:>{cell}}" for index in range(len(classes)))
    lines = ["true / predicted".ljust(width) + columns]
    for name, row in zip(names, matrix):
        lines.append(name.ljust(width) + "".join(f"{count:>{cell},}" for count in row))
    return "\n".join(lines)


def _confused_pairs(matrix: np.ndarray, classes: Sequence[str]) -> str:
    pairs = [(-int(matrix[t, p]), t, p) for t, p in np.argwhere(matrix).tolist() if t != p]
    lines = [(f"{classes[t]} / {classes[p]}", [-count]) for count, t, p in sorted(pairs)]
    return aligned_table("true / predicted", [("N", 10)], lines)


def task_lines(task: Task, state: str) -> list[str]:
    """The names, the number of classes and, below, the classes of a task."""
    names = ", ".join(dict.fromkeys((task.name, *task.aliases)))
    classes = ", ".join(task.classes)
    wrapped = textwrap.wrap(classes, WIDTH, initial_indent="  ", subsequent_indent="  ")
    return [f"{names}: {len(task.classes)} classes, {state}", *wrapped]


def run_table(runs: Sequence[Run]) -> str:
    """A line for each run, by tasks and then by mAP, the largest first.

    A star is behind the epochs of finished runs.
    """
    lines = []
    for run in runs:
        metrics = run.metrics
        names = [task.short_name for task in run.tasks] if metrics else ["?"]
        learnt = ", ".join(names) if len(names) <= MOST_NAMES else f"{len(names)} tasks"
        best = metrics.get("best", {})
        finished = "*" if metrics.get("finished") else ""
        cells = [learnt, f"{metrics.get('epochs', 0)}{finished}"]
        cells += [f"{best[key]:.4f}" if best.get(key) is not None else "-" for key in RUN_SCORES]
        lines.append((names, -(best.get("map") or 0.0), str(run), cells))
    columns = [("task", 24), ("epochs", 8), ("mAP", 8), ("accuracy", 10)]
    ordered = [(name, cells) for _, _, name, cells in sorted(lines)]
    return aligned_table("run", columns, ordered) + "\n* finished"


def _number(value: float) -> str:
    """Four decimals, or a dash for what is not a number."""
    return "-" if np.isnan(value) else f"{value:.4f}"


def keep_end(text: str, room: int) -> str:
    """The text, or its end behind ``...`` when it has more than ``room`` letters."""
    return text if len(text) <= room else f"...{text[len(text) - room + 3 :]}"
