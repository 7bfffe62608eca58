"""How good predicted labels are where a threshold decides, and the choice of the threshold."""

from __future__ import annotations

from typing import NamedTuple, Optional

import numpy as np

from fashionai.errors import DataError
from fashionai.predictions.decisions import check_threshold
from fashionai.tasks import Task


class DetectionFigures(NamedTuple):
    """How well images of the classes are found among images of the background.

    ``precision`` is the share of correct predictions among predictions other than the
    background, ``recall`` the share of correctly predicted images among images other than
    the background's, and ``accuracy`` the share of correct predictions. A figure with nothing
    to divide by is NaN. These are the official figures of FlickrLogos-32 (Romberg et al.,
    ICMR 2011).
    """

    threshold: Optional[float]
    precision: float
    recall: float
    accuracy: float


def detection_figures(
    task: Task, confusion: np.ndarray, threshold: Optional[float]
) -> Optional[DetectionFigures]:
    """The figures of predictions counted in ``confusion`` ``(L, L)``, true label by row.

    None for a task that has neither a background nor a threshold.
    """
    if not task.background and threshold is None:
        return None
    background = task.labels.index(task.background) if task.background else 0
    others = np.arange(len(confusion)) != background
    right = np.diag(confusion)
    return DetectionFigures(
        threshold,
        _share(right[others].sum(), confusion[:, others].sum()),
        _share(right[others].sum(), confusion[others].sum()),
        _share(right.sum(), confusion.sum()),
    )


def choose_threshold(task: Task, probabilities: np.ndarray, truth: np.ndarray) -> float:
    """The threshold with the best accuracy for ``probabilities (N, C)`` and true labels ``(N,)``.

    It lies between two neighbouring confidences and has as few decimals as possible. Of
    equally good thresholds it is the smallest. Raises DataError when all rows or no rows are
    of the background, since every threshold would do then.
    """
    check_threshold(task)
    background = len(task.classes) if task.holds_out_background else 0
    if task.holds_out_background:
        confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    else:
        confidence, right = probabilities[:, 1], truth == 1
    is_background = truth == background
    if is_background.all() or not is_background.any():
        found = "only" if is_background.all() else "no"
        raise DataError(
            f"no threshold can be chosen for {task.name}: validation has {found} images of "
            f"{task.labels[background]}"
        )
    order = np.argsort(confidence, kind="stable")
    confidence, right, is_background = confidence[order], right[order], is_background[order]
    # Entry k: how many are right when the k least confident rows are called background.
    below = np.concatenate([[0], np.cumsum(is_background)])
    above = np.concatenate([np.cumsum(right[::-1])[::-1], [0]])
    lower = np.concatenate([[0.0], confidence])
    upper = np.concatenate([confidence, [1.0]])
    divides = lower < upper
    best = int(np.argmax(np.where(divides, below + above, -1)))
    return _shortest_between(float(lower[best]), float(upper[best]))


def _shortest_between(lower: float, upper: float) -> float:
    middle = (lower + upper) / 2
    candidates = (round(middle, digits) for digits in range(1, 17))
    return next((value for value in candidates if lower < value < upper), middle)


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
