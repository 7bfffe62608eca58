"""Averages of prediction files, with given weights or with weights chosen by a score on labels.

Weights overfit the rows that they are chosen on. Choose them on validation rows and apply
them to test files of the same models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fashionai.errors import ConfigError, DataError
from fashionai.metrics import (
    LOWER_IS_BETTER,
    SCORE_NAMES,
    SCORES,
    overall_scores,
    task_scores,
)
from fashionai.predictions.formats import DECIMALS, PredictedRow
from fashionai.scoring.rows.joining import JoinedTask
from fashionai.scoring.rows.labels import Labels, all_labels_of

# A search averages at most so many files, with repetition: weights are multiples of 1/k, k <= 50.
SEARCH_STEPS = 50


# Probabilities (M, N, C) of the files and marks (N, C) of one task.
ScoredTask = tuple[np.ndarray, np.ndarray]


class WeightSearch(NamedTuple):
    """Weights as whole numbers, one per file, and mean scores over tasks.

    ``files`` are the scores of each single file, ``equal`` those of the average with equal
    weights and ``chosen`` those of the average with ``weights``.
    """

    weights: list[int]
    rows: int
    files: list[dict[str, float]]
    equal: dict[str, float]
    chosen: dict[str, float]


def normalize_weights(weights: Sequence[float], files: int) -> list[float]:
    """Weights divided by their sum; equal weights where none are given.

    Raises ConfigError unless there is one weight per file, none is negative and one is above 0.
    """
    if not weights:
        return [1 / files] * files
    found = ",".join(f"{weight:g}" for weight in weights)
    if len(weights) != files:
        raise ConfigError(
            f"--weights: found {len(weights)} ({found}), expected {files}, one for each file"
        )
    total = sum(weights)
    if min(weights) < 0 or not 0 < total < math.inf:
        raise ConfigError(f"--weights: found {found}, expected numbers from 0 up, not all 0")
    return [weight / total for weight in weights]


def average_files(joined: Sequence[JoinedTask], weights: Sequence[float]) -> list[PredictedRow]:
    """The weighted mean of prediction files.

    Args:
        joined: The rows of the files, as fashionai.scoring.rows.joining.join_files gives them.
        weights: One weight per file; their sum is 1.

    Returns:
        The rows of the mean, in the order of the first file.

    Raises:
        ValueError: Another number of weights than files.

    Example:
        >>> from fashionai.scoring.rows.joining import join_files
        >>> joined = join_files([Path("a.csv"), Path("b.csv")])
        >>> rows = fashionai.average_files(joined, [0.5, 0.5])
    """
    placed = [
        (position, PredictedRow(image, part.task, values))
        for part in joined
        for position, image, values in zip(
            part.positions, part.images, _average(part.probabilities, weights)
        )
    ]
    return [row for _, row in sorted(placed, key=lambda pair: pair[0])]


def search_weights(
    joined: Sequence[JoinedTask], labels: Labels, names: tuple[str, str], by: str = "map"
) -> WeightSearch:
    """Choose weights by ensemble selection with replacement, a deterministic greedy search.

    Each step adds the file to the average that improves the score ``by`` most, a mean over
    tasks; a file may be added several times (Caruana et al., "Ensemble selection from
    libraries of models", ICML 2004). The best of all these averages and of equal weights is
    chosen: equal weights if nothing is better. On these rows it is at least as good as the best
    single file.

    ``names`` are the files of the predictions and of the labels. Raises DataError for rows
    without a label, and for labels on which the score has no value.
    """
    found = [all_labels_of(part.task, part.images, labels, names) for part in joined]
    # Images of a held-out background belong to no class and are not scored.
    tasks = [
        (part.probabilities[:, truth.known], truth.marks[truth.known])
        for part, truth in zip(joined, found)
    ]
    files = len(joined[0].probabilities)
    alone, equal = np.eye(files, dtype=int), np.ones(files, dtype=int)

    def goodness(counts: np.ndarray) -> float:
        return _goodness(tasks, counts, by)

    means, counts = [], np.zeros(files, dtype=int)
    for _ in range(SEARCH_STEPS):
        # Of equally good files, max takes the one that was named first.
        counts = max((counts + one for one in alone), key=goodness)
        means.append(counts)
    chosen = max([equal, *means], key=goodness)
    if goodness(chosen) == -math.inf:
        raise DataError(
            f"{names[1]}: {SCORE_NAMES[by]} has no value on these labels",
            "Choose another score with --by, such as --by accuracy",
        )
    return WeightSearch(
        (chosen // np.gcd.reduce(chosen)).tolist(),
        sum(len(marks) for _, marks in tasks),
        [_scores(tasks, one) for one in alone],
        _scores(tasks, equal),
        _scores(tasks, chosen),
    )


def _goodness(tasks: Sequence[ScoredTask], counts: np.ndarray, by: str) -> float:
    """The mean of a score over tasks, with the sign changed where a smaller score is better."""
    weights = counts / counts.sum()
    score = float(np.mean([SCORES[by](_average(p, weights), marks) for p, marks in tasks]))
    if math.isnan(score):
        return -math.inf
    return -score if by in LOWER_IS_BETTER else score


def _scores(tasks: Sequence[ScoredTask], counts: np.ndarray) -> dict[str, float]:
    weights = counts / counts.sum()
    return overall_scores([task_scores(_average(p, weights), marks) for p, marks in tasks])


def _average(probabilities: np.ndarray, weights: Sequence[float] | np.ndarray) -> np.ndarray:
    """The weighted mean of ``(M, N, C)`` over M, rounded to the decimals of a prediction file.

    Rounding keeps equal probabilities equal, which mAP depends on, and makes the scores of a
    search equal to those of the file.
    """
    return np.tensordot(np.asarray(weights), probabilities, axes=1).round(DECIMALS)
