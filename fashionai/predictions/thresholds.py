"""From probabilities to answers where a threshold decides, and how good such answers are.

Two kinds of task have one. A task with a held-out background answers with its
most probable class where that reaches the threshold, else with the background.
A task of two classes answers with the second where its probability exceeds the
threshold.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

import numpy as np

from fashionai.errors import ConfigError, DataError
from fashionai.tasks import Task

# What a task of two classes has by itself.
EVEN_ODDS = 0.5


class DetectionFigures(NamedTuple):
    """How well images of a class are told apart, and from those of none.

    ``precision`` is the share of right ones among answers other than the
    background, ``recall`` that of right ones among images other than the
    background's, ``accuracy`` that of right answers among all. Without such
    answers or images a figure is not a number. These are the official figures of
    FlickrLogos-32 (Romberg et al., ICMR 2011).
    """

    threshold: Optional[float]
    precision: float
    recall: float
    accuracy: float


def check_threshold(task: Task) -> None:
    """ConfigError unless a threshold can change the task's answers."""
    if not task.holds_out_background and len(task.classes) != 2:
        raise ConfigError(
            f"--threshold: goes with two classes, or with logos prepared with --no-logo-share 0, "
            f"not with {task.name}, which learns {len(task.classes)} classes"
        )


def answered_labels(
    task: Task, probabilities: np.ndarray, threshold: Optional[float] = None
) -> np.ndarray:
    """Indices ``(N,) int64`` into the task's labels for probabilities ``(N, C)``."""
    best = probabilities.argmax(axis=1)
    if threshold is None:
        return best
    check_threshold(task)
    if task.holds_out_background:
        return np.where(probabilities.max(axis=1) < threshold, len(task.classes), best)
    return (probabilities[:, 1] > threshold).astype(np.int64)


def detection_figures(
    task: Task, confusion: np.ndarray, threshold: Optional[float]
) -> Optional[DetectionFigures]:
    """The figures of answers counted in ``confusion`` ``(L, L)``: true label by row.

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
    """The threshold of the best accuracy for ``probabilities (N, C)`` and true labels ``(N,)``.

    It lies between two neighbouring confidences and has as few decimals as that
    allows; the smallest of equally good ones. Raises DataError when there are
    no rows of the background, or none others: any threshold would do.
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
