"""Scores of out-of-fold predictions: every image predicted by the run that has not seen it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fashionai.datasets.prepared.samples import Samples, read_samples
from fashionai.errors import DataError, RunError
from fashionai.metrics import overall_scores
from fashionai.predictions.formats import (
    PredictedRow,
    as_written,
    probability_format,
    read_predictions,
    row_key,
    source_names,
)
from fashionai.runs import FOLDS_FILE, OUT_OF_FOLD_FILE, Run, find_folds
from fashionai.scoring.evaluate import TaskEvaluation, evaluate_task
from fashionai.scoring.rows.joining import check_same_classes, match_rows
from fashionai.scoring.rows.labelled_predictions import LabelledPredictions
from fashionai.scoring.rows.labels import task_in
from fashionai.scoring.splits import evaluate_samples
from fashionai.tasks import Task


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

    The rows are in the order of the folds. Errors are those of read_out_of_fold and of
    probabilities_of.
    """
    predicted = read_out_of_fold(path)
    held_out = [read_samples(Run(fold).config, "val") for fold in find_folds(path)]
    names = str(path / OUT_OF_FOLD_FILE), str(path / FOLDS_FILE)
    found: list[LabelledPredictions] = []
    for head, task in enumerate(held_out[0].tasks):
        rows = [(fold, row) for fold in held_out for row in fold.of_task(head)]
        sources = [fold.sources[row] for fold, row in rows]
        found.append(
            LabelledPredictions(
                task,
                sources,
                [fold.paths[row] for fold, row in rows],
                np.concatenate([fold.marks_of(head) for fold in held_out]),
                probabilities_of(task, sources, predicted, names),
            )
        )
    return found


def finished_folds(path: Path) -> list[Run]:
    """The runs of a finished cross-validation; RunError if it is not finished."""
    runs = [Run(fold) for fold in find_folds(path)]
    if not (path / OUT_OF_FOLD_FILE).is_file() or not all(run.is_finished for run in runs):
        raise _unfinished(path)
    return runs


def _unfinished(path: Path) -> RunError:
    command = f"fashionai cross-validate --run {shlex.quote(str(path))} --resume"
    return RunError(f"{path}: is not finished yet", f"Finish it with: {command}")


def read_out_of_fold(path: Path) -> list[PredictedRow]:
    """The rows that a finished cross-validation has predicted; RunError if it is not finished."""
    file = path / OUT_OF_FOLD_FILE
    if not file.is_file():
        raise _unfinished(path)
    return read_predictions(file)


def probabilities_of(
    task: Task,
    sources: Sequence[str],
    predicted: Sequence[PredictedRow],
    names: tuple[str, str],
) -> np.ndarray:
    """The predicted probabilities ``(N, C)`` of the images of a task with N sources.

    ``names`` are those of the predictions and of the images. Raises DataError when other images or
    other classes of the task were predicted.
    """
    file_format = probability_format(task)
    in_file = task_in(file_format, task)
    own = [row for row in predicted if row.task.name == in_file.name]
    if not own:
        raise DataError(f"{names[0]}: has no predictions of {task.name}")
    check_same_classes(own[0].task, task, names)
    keys = [row_key(name, in_file) for name in source_names(file_format, task, sources)]
    order = match_rows([row.key for row in own], keys, names, "image")
    return np.array([own[position].probabilities for position in order])


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
