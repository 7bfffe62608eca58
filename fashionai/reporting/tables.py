"""Tables for terminals of 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

# Score, its heading, and the column's width.
SCORE_COLUMNS = (
    ("map", "mAP", 8),
    ("basic_precision", "basic prec", 12),
    ("accuracy", "accuracy", 10),
    ("mrr", "MRR", 9),
    ("log_loss", "log loss", 10),
)


def score_table(rows: Sequence[tuple[str, int, Mapping[str, float]]]) -> str:
    """One line for each (name, number of images, scores)."""
    width = max(len("task"), *(len(name) for name, _, _ in rows))
    headings = "".join(f"{heading:>{size}}" for _, heading, size in SCORE_COLUMNS)
    lines = [f"{'task':<{width}}{'N':>8}{headings}"]
    for name, count, scores in rows:
        numbers = "".join(f"{scores[key]:>{size}.4f}" for key, _, size in SCORE_COLUMNS)
        lines.append(f"{name:<{width}}{count:>8,}{numbers}")
    return "\n".join(lines)


def confusion_table(matrix: np.ndarray, classes: Sequence[str]) -> str:
    """Counts with the true class by row and the predicted class by (numbered) column."""
    names = [f"{index} {name}" for index, name in enumerate(classes)]
    width = max(len(name) for name in (*names, "true / predicted"))
    cell = max(6, len(f"{matrix.max():,}") + 1)
    columns = "".join(f"{index:>{cell}}" for index in range(len(classes)))
    lines = ["true / predicted".ljust(width) + columns]
    for name, row in zip(names, matrix):
        lines.append(name.ljust(width) + "".join(f"{count:>{cell},}" for count in row))
    return "\n".join(lines)
