"""Fits the calibration of a run, on its validation split or on out-of-fold predictions."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np

from fashionai.config import Config, differing_keys
from fashionai.errors import DataError, RunError, counted
from fashionai.files import write_json
from fashionai.files.formats.yaml_files import load_yaml
from fashionai.files.outputs import try_place
from fashionai.metrics import FEW_VALIDATION_IMAGES, true_classes
from fashionai.pipeline.crop_counts import CROP_COUNTS, DEFAULT_CROPS
from fashionai.predictions.formats import as_written
from fashionai.predictions.predict import check_task, learnt_task
from fashionai.predictions.scaling import Calibration, Scaling, write_content
from fashionai.progress import ProgressBar, no_bar
from fashionai.runs import (
    CROSS_VALIDATION_FILE,
    Run,
    check_is_cross_validation,
    check_not_busy,
    locked_run,
)
from fashionai.scoring.out_of_fold import finished_folds, rows_of_folds
from fashionai.scoring.probabilities.calibration import (
    CalibrationFigures,
    calibration_figures,
    fit_temperature,
    fit_vector,
)
from fashionai.scoring.rows.labelled_predictions import LabelledPredictions
from fashionai.scoring.splits import rows_of_split
from fashionai.tasks import Task

log = logging.getLogger(__name__)

# Beginnings of the keys that decide how sure a network is, and those that folds have of their own.
TRAINED_ALIKE = ("model.", "optimizer.", "schedule.", "epochs:", "data.")
FOLDS_OWN = ("data.fold:", "data.folds_file:", "data.workers:")


class TaskFit(NamedTuple):
    """The scaling of one task, and figures on the ``images`` it was fitted on, before and after."""

    task: Task
    images: int
    scaling: Scaling
    before: CalibrationFigures
    after: CalibrationFigures


class CalibrationResult(NamedTuple):
    """A new calibration, and how it was fitted for each task."""

    calibration: Calibration
    fits: list[TaskFit]


class _Rows(NamedTuple):
    """Rows to fit on, by task, and what they are."""

    calibration: Calibration
    tasks: list[LabelledPredictions]


def calibrate(
    run: Run,
    contexts: list[Any],
    *,
    vector: bool = False,
    folds: Optional[Path] = None,
    progress: ProgressBar = no_bar,
    **options: Any,
) -> CalibrationResult:
    """Fit a scaling for each task of a run, and keep it in the run.

    Args:
        run: The run, whose ``crop`` is the side of the crops.
        contexts: Devices that predict the validation split; none are needed with ``folds``.
        vector: Fit a weight and a bias per class instead of one temperature.
        folds: Folder of a finished cross-validation of the same tasks: its out-of-fold predictions
            are used instead of predictions of the validation split.
        progress: Counts the predicted images.
        **options: Those of fashionai.predictions.predict.predict. ``crops`` is kept with the
            calibration.

    Returns:
        The calibration and the fit of each task.

    Raises:
        RunError: The cross-validation is not finished or has other tasks, or the run's weights
            change meanwhile. Nothing is written then.
        DataError: With ``vector``, a class has no image.
    """
    file = run.folder.calibration_file
    try_place(str(file), file)
    check_not_busy(run.folder)
    weights = run.check_weights()
    if folds is None:
        rows = _validation_rows(run, contexts, progress, options)
    else:
        rows = _out_of_fold_rows(run, folds)
    for each in rows.tasks:
        _warn_of_few(each, with_folds=folds is not None)
    fits = [_fit(each, vector) for each in rows.tasks]
    calibration = rows.calibration._replace(scalings={f.task.name: f.scaling for f in fits})
    with locked_run(run.folder):
        if run.check_weights() != weights:
            raise RunError(f"{run}: the weights changed during calibration", "Calibrate it again")
        details = {fit.task.name: _details(fit) for fit in fits}
        write_json(file, write_content(calibration, weights, details))
    return CalibrationResult(calibration, fits)


def _validation_rows(
    run: Run, contexts: list[Any], progress: ProgressBar, options: Mapping[str, Any]
) -> _Rows:
    rows = rows_of_split(run, "val", contexts, progress=progress, **options)
    crops = options.get("crops", DEFAULT_CROPS)
    about = Calibration("validation split", ["val"], crops, run.config.data.crop, {})
    return _Rows(about, rows)


def _out_of_fold_rows(run: Run, folder: Path) -> _Rows:
    """The out-of-fold predictions of a cross-validation, joined with its prepared labels."""
    crops = _crops_of_folds(folder)
    fold_runs = finished_folds(folder)
    config = fold_runs[0].config
    if config.data.crop != run.config.data.crop:
        raise RunError(
            f"{folder}: predicts crops of {config.data.crop} pixels, and {run} those of "
            f"{run.config.data.crop}"
        )
    if config.model.name != run.config.model.name:
        raise RunError(
            f"{folder}: cross-validates {config.model.name}, and {run} is {run.config.model.name}",
            "Give the --folds of the run's own configuration",
        )
    for task in run.tasks:
        check_task(fold_runs[0], task)
    _warn_of_differences(run, folder, config)
    found = {rows.task.name: rows for rows in rows_of_folds(folder)}
    source = f"out-of-fold predictions of {folder}"
    about = Calibration(source, ["train", "val"], crops, config.data.crop, {})
    rows = [found[learnt_task(fold_runs[0], task).name]._replace(task=task) for task in run.tasks]
    return _Rows(about, rows)


def _warn_of_differences(run: Run, folder: Path, config: Config) -> None:
    """Warn when the cross-validation, of this configuration, was trained otherwise than the run."""
    different = [
        line
        for line in differing_keys(run.config, config)
        if line.startswith(TRAINED_ALIKE) and not line.startswith(FOLDS_OWN)
    ]
    if different:
        log.warning(
            "%s: was trained otherwise than %s (%s), so its calibration may not fit",
            run,
            folder,
            "; ".join(different),
        )


def _crops_of_folds(folder: Path) -> int:
    check_is_cross_validation(folder)
    file = folder / CROSS_VALIDATION_FILE
    crops = load_yaml(file).get("crops")
    if crops not in CROP_COUNTS:
        raise RunError(f"{file}: crops is {crops}, expected one of {CROP_COUNTS}")
    return int(crops)


def _warn_of_few(rows: LabelledPredictions, with_folds: bool) -> None:
    """Warn when a task has few rows to fit on."""
    if len(rows.marks) < FEW_VALIDATION_IMAGES:
        more = "" if with_folds else "; out-of-fold predictions are more (--folds)"
        images = counted(len(rows.marks), "image")
        log.warning("%s: fitted on %s, which tells little%s", rows.task.name, images, more)


def _fit(rows: LabelledPredictions, vector: bool) -> TaskFit:
    task, probabilities, marks = rows.task, rows.probabilities, rows.marks
    labels = true_classes(marks)
    if vector:
        counts = np.bincount(labels, minlength=len(task.classes))
        if not counts.all():
            raise DataError(
                f"--vector: {task.name} has no image of {task.classes[int(counts.argmin())]} to "
                "fit on",
                "Fit one temperature instead, without --vector",
            )
    if (probabilities.argmax(axis=1) == labels).all():
        log.warning(
            "%s: all %s are predicted correctly, which tells no temperature, so its probabilities "
            "stay as they are",
            task.name,
            counted(len(labels), "image"),
        )
        scaling = Scaling.of_temperature(1, len(task.classes))
    else:
        scaling = (fit_vector if vector else fit_temperature)(probabilities, labels)
    return TaskFit(
        task,
        len(labels),
        scaling,
        calibration_figures(as_written(probabilities), marks),
        calibration_figures(as_written(scaling.apply(probabilities)), marks, is_scaled=True),
    )


def _details(fit: TaskFit) -> dict[str, Any]:
    """What calibration.json tells people about a task."""
    stages = {figures.stage: figures.to_json() for figures in (fit.before, fit.after)}
    return {"images": fit.images, **stages}
