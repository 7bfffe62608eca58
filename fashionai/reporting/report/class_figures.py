"""How well each class of a task is found."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fashionai.metrics import precisions, recalls, true_classes
from fashionai.scoring.evaluate import TaskEvaluation


class ClassFigures(NamedTuple):
    """The figures of one class; those with nothing to divide by are NaN.

    ``support`` is the number of its images, ``predicted`` that of the predictions of it.
    ``average_precision`` and ``threshold`` are those of ranking.
    """

    name: str
    support: int
    predicted: int
    precision: float
    recall: float
    average_precision: float
    threshold: float


class Ranking(NamedTuple):
    """How well a probability tells the images of a class from all others.

    ``average_precision`` is the sum over thresholds of precision times the increase of recall.
    ``threshold`` is the probability with the largest F1, the harmonic mean of both.
    """

    average_precision: float
    threshold: float


def class_figures(evaluation: TaskEvaluation) -> list[ClassFigures]:
    """The figures of every class."""
    matrix, truth = evaluation.confusion, true_classes(evaluation.marks)
    precision, recall = precisions(matrix), recalls(matrix)
    found = []
    for index, name in enumerate(evaluation.task.classes):
        ranked = ranking(evaluation.probabilities[:, index], truth == index)
        counts = int(matrix[index].sum()), int(matrix[:, index].sum())
        shares = float(precision[index]), float(recall[index])
        found.append(ClassFigures(name, *counts, *shares, *ranked))
    return found


def ranking(values: np.ndarray, positive: np.ndarray) -> Ranking:
    """The ranking of rows by ``values (N,)``; NaN without a row that is ``positive (N,) bool``."""
    total = int(positive.sum())
    if not total:
        return Ranking(float("nan"), float("nan"))
    order = np.argsort(-values, kind="stable")
    ordered = values[order]
    # Rows of equal probability pass a threshold together.
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    found = np.cumsum(positive[order])[ends]
    precision, recall = found / (ends + 1), found / total
    increase = np.diff(recall, prepend=0)
    best = int(np.argmax(2 * found / (ends + 1 + total)))
    return Ranking(float(precision @ increase), float(ordered[ends[best]]))
