"""predict and evaluate for scripts."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

from fashionai.api.arguments import (
    RunLike,
    check_roles,
    errors_for_scripts,
    gpu_indices,
    listed,
    one_or_more,
    prediction_options,
    side,
)
from fashionai.errors import ConfigError, shown_value
from fashionai.files.formats.frames import as_file, is_frame
from fashionai.files.paths import PathLike
from fashionai.progress import no_bar
from fashionai.runs import Run
from fashionai.scoring.bootstrap import RESAMPLES
from fashionai.tasks import NAMELESS, Task

if TYPE_CHECKING:
    import pandas as pd

    from fashionai.scoring.evaluate import TaskEvaluation

log = logging.getLogger(__name__)

# What the columns of a table of labels can hold, see evaluate.
LABEL_ROLES = ("path", "label", "split")
# The columns of a table of predictions before those of the classes.
COLUMNS = ("image", "task", "class", "probability")
# More classes than a task has: all of them are given.
ALL_CLASSES = 10**9


@errors_for_scripts
def predict(
    images: Union[PathLike, Iterable[PathLike]],
    run: Union[RunLike, Iterable[RunLike], None] = None,
    *,
    crops: int = 10,
    image_size: Optional[int] = None,
    batch_size: int = 16,
    engine: str = "auto",
    device: str = "auto",
    gpus: Sequence[int] = (),
    skip_bad: bool = False,
) -> pd.DataFrame:
    """Predict the probabilities of images.

    Args:
        images: A file, a folder (all images in it and below), an http or https address, or
            several of these, such as a list or the column of a DataFrame.
        run: One run or several, whose probabilities are averaged task by task. By default,
            for each task the finished run below ``runs`` with the best validation mAP.
        crops: Views per image: 1, 5 or 10.
        image_size: Side of the views in pixels, by default that of the run's training.
        batch_size: Images per batch and device.
        engine: ``auto``, ``gluon``, ``torch``, ``fused``, ``onnx`` or ``int8``.
        device: ``auto``, ``cpu`` or ``gpu``.
        gpus: Indices of the GPUs to use; all by default.
        skip_bad: Log images that cannot be used and leave them out, instead of stopping.

    Returns:
        One row per image and task. The columns are ``image``, ``task``, ``class`` (the most
        probable one), ``probability`` and one for each class; those of other tasks' classes
        are NaN.

    Raises:
        ConfigError: A wrong argument, or a class with the name of one of the first four columns.
        DataError: No images, or an image that is missing, damaged or given twice.
        RunError: No finished run, or a run without weights.

    Example:
        >>> fashionai.predict("photos", "runs/birds")[["image", "class", "probability"]]
    """
    import numpy as np
    import pandas as pd

    from fashionai.engines.registry import framework_of
    from fashionai.frameworks.choice import contexts
    from fashionai.predictions.classify import choose_runs, classify
    from fashionai.predictions.run_choice import Candidates
    from fashionai.web.downloads import DownloadLimits

    given = _images(images)
    options = prediction_options(crops, batch_size, engine)
    indices = gpu_indices(device, gpus)
    runs = choose_runs(Candidates.open(one_or_more("run", run), side(image_size)))
    _check_class_names(runs)
    results = classify(
        given,
        runs,
        contexts(device, indices, framework_of(engine)),
        top=ALL_CLASSES,
        limits=DownloadLimits(),
        rng=np.random.default_rng(),
        progress=no_bar,
        leave_out=_log_left_out if skip_bad else None,
        **options,
    )
    tasks = list(dict.fromkeys(task for _, ranked in results for task in ranked))
    classes = dict.fromkeys(name for task in tasks for name in task.classes)
    rows = [
        (image, task.name, *ranked[0], *map(dict(ranked).get, classes))
        for image, by_task in results
        for task, ranked in by_task.items()
    ]
    return pd.DataFrame(rows, columns=[*COLUMNS, *classes])


def _images(images: Any) -> list[str]:
    """The images to predict as text; ConfigError for anything but paths and addresses."""
    given = listed(images)
    for image in given:
        if is_frame(image):
            raise ConfigError(
                "images: found a DataFrame, expected paths or addresses",
                "Give the column that has them, such as table['path']",
            )
        if not isinstance(image, (str, os.PathLike)):
            found = shown_value(image)
            raise ConfigError(f"images: found {found}, expected paths or addresses")
    return [str(image) for image in given]


def _check_class_names(tasks: Iterable[Task]) -> None:
    """ConfigError for a class whose column would have the name of another column."""
    for task in tasks:
        for name in task.classes:
            if name in COLUMNS:
                raise ConfigError(
                    f"predict: {task.name} has a class '{name}', and a column of the table has "
                    "this name",
                    "Use fashionai.predict_images, which returns arrays",
                )


def _log_left_out(image: str, reason: str) -> None:
    log.warning("left out: %s: %s", image, reason)


@errors_for_scripts
def evaluate(
    what: Union[RunLike, pd.DataFrame],
    split: Optional[str] = None,
    *,
    labels: Union[PathLike, pd.DataFrame, Iterable[Union[PathLike, pd.DataFrame]], None] = None,
    images: Optional[PathLike] = None,
    columns: Optional[Mapping[str, str]] = None,
    task: Optional[str] = None,
    threshold: Optional[float] = None,
    crops: int = 10,
    image_size: Optional[int] = None,
    batch_size: int = 16,
    engine: str = "auto",
    device: str = "auto",
    gpus: Sequence[int] = (),
    skip_bad: bool = False,
) -> pd.DataFrame:
    """Score a run on a prepared split or on labelled images, or predictions against labels.

    Args:
        what: A run; or, together with ``labels``, a prediction file or a DataFrame of the columns
            that ``predict`` returns.
        split: Split that a run is scored on, ``train``, ``val`` or ``test``: of its prepared
            folders, by default ``val``, or of the ``labels``.
        labels: Label files, DataFrames of paths and labels, class folders or prepared folders, with
            the labels of the predicted rows, or of the images that a run is to predict.
        images: Folder that the paths in ``labels`` are relative to; by default that of the file.
        columns: Names of the columns of ``labels`` by role (``path``, ``label``, ``split``);
            needed for columns with unusual names.
        task: Name of the only task to score, with ``labels``. It also names the task of a
            DataFrame without a column ``task``.
        threshold: With two classes or a held-out background: the probability, from 0 to 1, that
            decides the predicted label.
        crops: Views per image: 1, 5 or 10.
        image_size: Side of the views in pixels, by default that of the run's training.
        batch_size: Images per batch and device.
        engine: ``auto``, ``gluon``, ``torch``, ``fused``, ``onnx`` or ``int8``.
        device: ``auto``, ``cpu`` or ``gpu``.
        gpus: Indices of the GPUs to use; all by default.
        skip_bad: Log images of ``labels`` that cannot be used and leave them out, instead of
            stopping; for a run.

    Returns:
        One row per task, with ``rows``, ``map``, ``accuracy`` and the other scores, with
        ``calibration_error`` (the expected one, of 15 bins), and with the ends of the scores' 95 %
        confidence intervals in ``map_low``, ``map_high`` and so on. With a threshold also
        ``detection_threshold``, and with the labels that it decides ``detection_precision``,
        ``detection_recall`` and ``detection_accuracy``. The index has the names of the tasks in the
        labels. Where the labels name no task, it has the name in the column ``task`` of the
        predictions. Without this column a DataFrame's task is called ``task``, or ``predictions``
        if that is not given, and a file's task has the name of the file without its suffix.

    Raises:
        ConfigError: A wrong argument, a file or DataFrame without ``labels``, or a task that the
            run has not learnt.
        DataError: Rows that are missing, extra or malformed, or a split that is not prepared.
        RunError: A run without weights.

    Example:
        >>> fashionai.evaluate("runs/skirt").loc["skirt_length_labels", "map"]
    """
    from fashionai.scoring.evaluate import evaluate_file

    _check_threshold(threshold)
    given_labels = one_or_more("labels", labels)
    is_file = is_frame(what) or (isinstance(what, (str, Path)) and not Path(what).is_dir())
    needing: dict[str, Any] = {"images": images, "columns": columns, "skip_bad": skip_bad or None}
    needing["task"] = task if is_file else None
    if not given_labels:
        given = [name for name, value in needing.items() if value is not None]
        given += ["a DataFrame of predictions"] if is_frame(what) else []
        if given:
            raise ConfigError(f"evaluate: {given[0]} needs labels")
    by_role = dict(columns or {})
    check_roles(by_role, LABEL_ROLES)
    if not is_file and images is None and any(map(is_frame, given_labels)):
        raise ConfigError("evaluate: a run needs images, the folder of the paths in a DataFrame")
    folder, names = None if images is None else Path(images), [] if task is None else [task]
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(as_file(each)) for each in given_labels]
        if not given_labels or not is_file:
            evaluations = _evaluate_run(
                _opened(what).at_crop(side(image_size)),
                (files, by_role, folder),
                names,
                split,
                threshold,
                device,
                gpu_indices(device, gpus),
                skip_bad=skip_bad,
                **prediction_options(crops, batch_size, engine),
            )
        elif split is not None or image_size is not None or skip_bad:
            raise ConfigError("evaluate: split, image_size and skip_bad go with a run")
        else:
            evaluations = evaluate_file(
                stack.enter_context(as_file(what)),
                files,
                None,
                names,
                threshold,
                (task or NAMELESS) if is_frame(what) else None,
                columns=by_role,
                images=folder,
                resamples=RESAMPLES,
            )
    return _scores_frame(evaluations)


def _check_threshold(value: Any) -> None:
    """ConfigError for a threshold that is no probability."""
    if value is not None and not (isinstance(value, Real) and 0 <= float(value) <= 1):
        found = shown_value(value)
        raise ConfigError(f"threshold: found {found}, expected a number from 0 to 1")


def _opened(run: Any) -> Run:
    return run if isinstance(run, Run) else Run.open(Path(run))


def _evaluate_run(
    run: Run,
    labels: tuple[Any, ...],
    names: Sequence[str],
    split: Optional[str],
    threshold: Optional[float],
    device: str,
    gpus: Sequence[int],
    *,
    skip_bad: bool,
    **predicting: Any,
) -> list[TaskEvaluation]:
    """Score a run on images of ``labels``, the fields of LabelFiles, or on a prepared split."""
    from fashionai.engines.registry import framework_of
    from fashionai.frameworks.choice import contexts
    from fashionai.scoring.labelled_images import Wanted, evaluate_on_labels
    from fashionai.scoring.rows.labels import LabelFiles
    from fashionai.scoring.splits import evaluate_run

    devices = contexts(device, gpus, framework_of(predicting["engine"]))
    files = LabelFiles(*labels)
    if not files.paths:
        return evaluate_run(
            run,
            split or "val",
            devices,
            threshold,
            RESAMPLES,
            task_names=names,
            **predicting,
        )
    return evaluate_on_labels(
        run,
        Wanted(files, names, split),
        devices,
        threshold,
        RESAMPLES,
        progress=no_bar,
        leave_out=_log_left_out if skip_bad else None,
        **predicting,
    )


def _scores_frame(evaluations: Iterable[TaskEvaluation]) -> pd.DataFrame:
    """A row per task: its scores, the ends of their confidence intervals, what is detected."""
    import pandas as pd

    rows = []
    for each in evaluations:
        ends = {
            f"{name}_{end}": value
            for name, interval in each.intervals.items()
            for end, value in interval._asdict().items()
        }
        scores = {**each.scores, "calibration_error": each.calibration_error, **ends}
        figures = each.figures._asdict() if each.figures else {}
        detected = {f"detection_{name}": value for name, value in figures.items()}
        rows.append({"task": each.name, "rows": each.rows, **scores, **detected})
    return pd.DataFrame(rows).set_index("task")
