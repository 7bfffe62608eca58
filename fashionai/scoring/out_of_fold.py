"""Scores of out-of-fold predictions: every image predicted by the run that has not seen it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fashionai.datasets.prepared.samples import Samples
from fashionai.metrics import overall_scores
from fashionai.predictions.formats import as_written
from fashionai.scoring.evaluate import TaskEvaluation, evaluate_task
from fashionai.scoring.splits import evaluate_samples


class OutOfFoldScores(NamedTuple):
    """Scores of out-of-fold predictions, by task: of every fold, and of all images pooled."""

    folds: list[list[TaskEvaluation]]
    pooled: list[TaskEvaluation]

    def overall(self) -> list[dict[str, float]]:
        """The scores of every fold, averaged over tasks."""
        return [overall_scores([task.scores for task in fold]) for fold in self.folds]

    def mean(self) -> dict[str, float]:
        """The mean of every score over folds."""
        scores = self.overall()
        return {name: float(np.mean([fold[name] for fold in scores])) for name in scores[0]}

    def deviation(self) -> dict[str, float]:
        """The sample standard deviation (n - 1) of every score over folds."""
        scores = self.overall()
        return {name: float(np.std([fold[name] for fold in scores], ddof=1)) for name in scores[0]}

    def to_json(self) -> dict[str, Any]:
        """The content of scores.json."""
        return {
            "mean": self.mean(),
            "standard_deviation": self.deviation(),
            "together": {each.task.name: each.scores for each in self.pooled},
            "folds": [
                {each.task.name: {"n": each.rows, **each.scores} for each in fold}
                for fold in self.folds
            ],
        }


def score_folds(
    held_out: Sequence[Samples], probabilities: Sequence[Sequence[np.ndarray]]
) -> OutOfFoldScores:
    """Scores of ``probabilities``, which are by fold and task."""
    pooled = [
        evaluate_task(
            task,
            as_written(np.concatenate([fold[head] for fold in probabilities])),
            np.concatenate([samples.marks_of(head) for samples in held_out]),
        )
        for head, task in enumerate(held_out[0].tasks)
    ]
    return OutOfFoldScores(
        [evaluate_samples(*fold) for fold in zip(held_out, probabilities)], pooled
    )
