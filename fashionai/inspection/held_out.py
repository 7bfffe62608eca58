"""Probabilities of images by a network that was not trained on them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fashionai.datasets.prepared.folders import read_split
from fashionai.datasets.prepared.samples import read_samples, warn_of_changed_data
from fashionai.errors import DataError, RunError
from fashionai.predictions.formats import (
    as_written,
    probability_format,
    read_predictions,
    row_key,
    source_names,
)
from fashionai.progress import ProgressBar, no_bar
from fashionai.runs import OUT_OF_FOLD_FILE, Run, RunFolder, find_folds
from fashionai.scoring.joining import check_same_classes, match_rows
from fashionai.scoring.labels import task_in
from fashionai.scoring.splits import predict_samples
from fashionai.tasks import Task


class HeldOut(NamedTuple):
    """N images of one task: files, marks ``(N, C) int8`` and probabilities ``(N, C) float64``."""

    paths: Sequence[Path]
    marks: np.ndarray
    probabilities: np.ndarray


def predict_validation(
    run: Run,
    task: Task,
    folder: Path,
    contexts: list[Any],
    progress: ProgressBar = no_bar,
    **options: Any,
) -> HeldOut:
    """The validation images of a run, of one task.

    ``folder`` is the folder of the prepared tasks. ``options`` are as for predict, and so are the
    errors; a warning tells that the prepared folder has changed since the run was trained.
    """
    warn_of_changed_data(run)
    config = run.config.changed({"data.folder": str(folder)})
    samples = read_samples(config, "val", [task.name])
    with progress(f"{run}: val", len(samples.paths)) as advance:
        (probabilities,) = predict_samples(samples, run, contexts, progress=advance, **options)
    return HeldOut(samples.paths, samples.marks, as_written(probabilities))


def read_out_of_fold(path: Path, task: Task, folder: Path) -> HeldOut:
    """The training and validation images of a task, with out-of-fold predictions.

    ``path`` is the folder of a cross-validation, ``folder`` that of the prepared task. Raises
    RunError when it is none or is not finished, DataError when it has predicted other images.
    """
    file = path / OUT_OF_FOLD_FILE
    if not find_folds(path):
        is_run = RunFolder(path).has_begun
        hint = f"Give --run {shlex.quote(str(path))}" if is_run else ""
        raise RunError(f"--folds {path}: not a cross-validation", hint)
    if not file.is_file():
        raise RunError(
            f"{path}: has no out-of-fold predictions yet",
            f"Resume with: fashionai cross-validate --run {shlex.quote(str(path))} --resume",
        )
    prepared = read_split(folder, "train", "val")
    file_format = probability_format(task)
    written_as = task_in(file_format, task)
    rows = [row for row in read_predictions(file) if row.task.name == written_as.name]
    if not rows:
        raise DataError(f"{file}: has no predictions of {task.name}")
    check_same_classes(rows[0].task, task, (str(file), str(folder)))
    names = source_names(file_format, task, prepared.sources)
    expected = [row_key(name, written_as) for name in names]
    order = match_rows([row.key for row in rows], expected, (str(file), str(folder)), "image")
    probabilities = np.array([rows[position].probabilities for position in order])
    return HeldOut(prepared.paths, prepared.marks, probabilities)
