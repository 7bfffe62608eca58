"""Probabilities of the images of a prepared task, by networks that were not trained on them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from fashionai.datasets.prepared.folders import read_split
from fashionai.datasets.prepared.samples import read_samples
from fashionai.progress import ProgressBar, no_bar
from fashionai.runs import OUT_OF_FOLD_FILE, Run, check_is_cross_validation
from fashionai.scoring.out_of_fold import probabilities_of, read_out_of_fold
from fashionai.scoring.rows.labelled_predictions import LabelledPredictions
from fashionai.scoring.splits import rows_of_samples
from fashionai.tasks import Task


def predicted_validation(
    run: Run,
    task: Task,
    folder: Path,
    contexts: list[Any],
    progress: ProgressBar = no_bar,
    **options: Any,
) -> LabelledPredictions:
    """The validation images of a run, of one task in a folder of prepared tasks.

    ``options`` and errors are those of rows_of_split.
    """
    samples = read_samples(run.config.changed({"data.folder": str(folder)}), "val", [task.name])
    (rows,) = rows_of_samples(run, samples, "val", contexts, progress, **options)
    return rows


def predicted_out_of_fold(path: Path, task: Task, folder: Path) -> LabelledPredictions:
    """The training and validation images of a task, as a cross-validation has predicted them.

    ``path`` is the folder of the cross-validation, ``folder`` that of the prepared task. Raises
    RunError when it is none or is not finished, and DataError when it has predicted other images.
    """
    check_is_cross_validation(path, f"Give --run {shlex.quote(str(path))}")
    prepared, predicted = read_split(folder, "train", "val"), read_out_of_fold(path)
    names = str(path / OUT_OF_FOLD_FILE), str(folder)
    probabilities = probabilities_of(task, prepared.sources, predicted, names)
    return LabelledPredictions(
        task, prepared.sources, prepared.paths, prepared.marks, probabilities
    )
