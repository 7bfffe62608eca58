"""Scores of out-of-fold predictions: every image predicted by the run that has not seen it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fashionai.datasets.prepared.samples import Samples, read_samples
from fashionai.errors import RunError
from fashionai.metrics import overall_scores
from fashionai.predictions.formats import (
    as_written,
    probability_format,
    read_predictions,
    row_key,
    source_names,
)
from fashionai.runs import FOLDS_FILE, OUT_OF_FOLD_FILE, Run, find_folds
from fashionai.scoring.evaluate import TaskEvaluation, evaluate_task
from fashionai.scoring.joining import match_rows
from fashionai.scoring.labelled_predictions import LabelledPredictions
from fashionai.scoring.labels import task_in
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


def rows_of_folds(path: Path) -> list[LabelledPredictions]:
    """The out-of-fold predictions of a finished cross-validation with their labels, by task.

    The rows are in the order of the folds. Raises RunError when they are not written yet, and
    DataError when they are of other images than the folds.
    """
    file = path / OUT_OF_FOLD_FILE
    if not file.is_file():
        raise RunError(
            f"{path}: has no out-of-fold predictions yet (no {file.name})",
            f"Finish it with: fashionai cross-validate --run {shlex.quote(str(path))} --resume",
        )
    predicted = read_predictions(file)
    held_out = [read_samples(Run(fold).config, "val") for fold in find_folds(path)]
    names = str(file), str(path / FOLDS_FILE)
    tasks = held_out[0].tasks
    file_format = probability_format(tasks[0])
    found: list[LabelledPredictions] = []
    for head, task in enumerate(tasks):
        rows = [(fold, row) for fold in held_out for row in fold.of_task(head)]
        sources = [fold.sources[row] for fold, row in rows]
        in_file = task_in(file_format, task)
        keys = [row_key(name, in_file) for name in source_names(file_format, task, sources)]
        own = [each for each in predicted if each.task.name == in_file.name]
        order = match_rows([each.key for each in own], keys, names)
        found.append(
            LabelledPredictions(
                task,
                sources,
                [fold.paths[row] for fold, row in rows],
                np.concatenate([fold.marks_of(head) for fold in held_out]),
                np.array([own[position].probabilities for position in order]),
            )
        )
    return found


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
