"""Scores of a run on images whose labels the user has: in CSV files, class or prepared folders."""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Callable, NamedTuple, Optional

import numpy as np

from fashionai.datasets.label_folders import holds_class_folders
from fashionai.datasets.names import SPLITS
from fashionai.datasets.prepared.check import find_copies
from fashionai.datasets.prepared.manifest import MANIFEST
from fashionai.datasets.prepared.samples import read_samples
from fashionai.datasets.readers.image_files import ImageFiles
from fashionai.datasets.readers.reader import readers
from fashionai.datasets.readers.tables.csv_dialect import is_existing_file
from fashionai.datasets.records import LabelRow
from fashionai.errors import ConfigError, DataError, FashionAIError, counted
from fashionai.files.formats.csv_files import read_csv_rows
from fashionai.pipeline.crop_counts import DEFAULT_CROPS
from fashionai.pipeline.decode import ImageFile
from fashionai.predictions.decisions import check_threshold
from fashionai.predictions.formats import as_written, row_key
from fashionai.predictions.predict import Request
from fashionai.predictions.soundness import LeaveOut, check_images
from fashionai.progress import ProgressBar
from fashionai.runs import Run
from fashionai.scoring.evaluate import TaskEvaluation
from fashionai.scoring.probabilities.calibrated import RunCalibration
from fashionai.scoring.rows.joining import check_same_classes
from fashionai.scoring.rows.labelled_predictions import LabelledPredictions
from fashionai.scoring.rows.labels import (
    LabelFiles,
    LabelledRow,
    check_options,
    distinct_rows,
    is_parent_of_prepared,
    read_class_folders,
    read_listed,
    read_prepared,
)
from fashionai.scoring.splits import predict_requests, tasks_of_run
from fashionai.tasks import Task

log = logging.getLogger(__name__)


class Wanted(NamedTuple):
    """The images that a user wants a run to be scored on.

    Only images of the tasks in ``task_names`` and of ``split`` are used, where these are given.
    """

    files: LabelFiles
    task_names: Sequence[str] = ()
    split: Optional[str] = None


def evaluate_on_labels(
    run: Run,
    wanted: Wanted,
    contexts: list[Any],
    threshold: Optional[float] = None,
    resamples: int = 0,
    *,
    progress: ProgressBar,
    leave_out: Optional[LeaveOut] = None,
    calibrated: bool = False,
    **options: Any,
) -> list[TaskEvaluation]:
    """Predict labelled images with a run and score it, as predict and then evaluate would.

    ``threshold`` and ``resamples`` are as for evaluate_task, ``leave_out`` as for check_images,
    ``calibrated`` as for evaluate_run and ``options`` as for predict_requests. Raises ConfigError
    for tasks that the run has not learnt and for several splits without a choice, DataError for bad
    labels and images.
    """
    rows = read_labelled_images(run, wanted)
    tasks = list(dict.fromkeys(row.task for row in rows))
    if threshold is not None:
        for task in tasks:
            check_threshold(task)
    calibration = RunCalibration.of(run, options.get("crops", DEFAULT_CROPS), calibrated)
    _warn_of_training_images(run, rows, wanted.files.names, progress)
    calibration.warn_of_fitted_images([row.file for row in rows])
    images = {str(row.file): row.file for row in rows if row.file is not None}
    bad = check_images(images, progress, leave_out)
    rows = [row for row in rows if str(row.file) not in bad]
    if not rows:
        raise DataError("no image is left to score")
    parts = [(task, [row for row in rows if row.task == task]) for task in tasks]
    parts = [(task, own) for task, own in parts if own]
    requests = [Request(task, _files_of(own), [run]) for task, own in parts]
    names = [[row.image for row in own] for _, own in parts]
    with progress(f"{run}: {wanted.files.names}", len(images) - len(bad)) as advance:
        place_of_parts = run.path / "labels"
        predicted = predict_requests(
            requests, names, place_of_parts, contexts, progress=advance, **options
        )
    return [
        calibration.evaluate(_labelled(task, own, values), threshold, resamples)
        for (task, own), values in zip(parts, predicted)
    ]


def _labelled(
    task: Task, rows: Sequence[LabelledRow], probabilities: np.ndarray
) -> LabelledPredictions:
    """Labelled rows of a task with their probabilities, rounded as in a prediction file."""
    return LabelledPredictions(
        task,
        [row.image for row in rows],
        [row.file for row in rows],
        np.array([row.marks for row in rows]),
        as_written(probabilities),
    )


def _warn_of_training_images(
    run: Run, rows: Sequence[LabelledRow], names: str, progress: ProgressBar
) -> None:
    """Tell how many images the run was trained on: those with the bytes of a training image."""
    files = [row.file for row in rows if isinstance(row.file, Path)]
    try:
        trained = read_samples(run.config, "train", pseudo=True).paths
        count = sum(find_copies(files, trained, progress))
    except (FashionAIError, OSError):
        # Images that are missing are named when all of them are opened.
        return
    if count:
        log.warning(
            "%s: %s was trained on %d of %s, so the scores are too high; those of other images "
            "say how good it is, for instance of --split val without --labels",
            names,
            run,
            count,
            counted(len(rows), "image"),
        )


def _files_of(rows: Sequence[LabelledRow]) -> list[ImageFile]:
    return [row.file for row in rows if row.file is not None]


def read_labelled_images(run: Run, wanted: Wanted) -> list[LabelledRow]:
    """The labelled images for tasks of a run, each with its file and the run's task."""
    chosen = _of_split(_rows_of_run(run, wanted), wanted.split, wanted.files.names)
    return list(distinct_rows(chosen, lambda row: row_key(row.image, row.task)).values())


def _rows_of_run(run: Run, wanted: Wanted) -> list[LabelledRow]:
    """The labelled images of all splits for tasks of a run."""
    tasks = tasks_of_run(run, wanted.task_names)
    files = wanted.files
    rows = [row for path in files.paths for row in _read(path, tasks, files)]
    placed = [row for row in (_of_run(row, tasks, str(run), files.names) for row in rows) if row]
    if not placed:
        names = ", ".join(task.name for task in tasks)
        raise DataError(f"{files.names}: has no labels of {names}")
    return placed


def known_classes(run: Run, files: Sequence[Path], labels: LabelFiles) -> list[dict[Task, int]]:
    """The true class of each task of a run, for each file whose label is known.

    Without ``labels``, those of the run's prepared folders are used, as far as they are there. A
    file is found in them by itself or a hard link to it.
    """
    if labels.paths:
        rows = _rows_of_run(run, Wanted(labels))
        found = [(row.task, row.file, row.marks) for row in rows if isinstance(row.file, Path)]
    else:
        found = list(_prepared_marks(run))
    known: dict[tuple[int, int], dict[Task, int]] = {_identity(file): {} for file in files}
    for task, file, marks in found:
        if marks.any() and _identity(file) in known:
            known[_identity(file)][task] = int(marks.argmax())
    return [known[_identity(file)] for file in files]


def _prepared_marks(run: Run) -> Iterator[tuple[Task, Path, np.ndarray]]:
    """The tasks, files and marks of a run's prepared images, as far as they are there."""
    for split in SPLITS:
        with contextlib.suppress(FashionAIError):
            samples = read_samples(run.config, split)
            for head, task in enumerate(samples.tasks):
                files = [samples.paths[row] for row in samples.of_task(head)]
                for file, marks in zip(files, samples.marks_of(head)):
                    with contextlib.suppress(OSError):  # a link may lead to nothing
                        file.stat()
                        yield task, file, marks


def _read(path: Path, tasks: Sequence[Task], files: LabelFiles) -> Iterator[LabelledRow]:
    """The labelled images of one path, whatever it is."""
    if path.name == MANIFEST:
        path = path.parent
    if path.is_dir():
        check_options(path, files)
        is_own = holds_class_folders(path) and not is_parent_of_prepared(path)
        yield from read_class_folders(path, _only(tasks, path)) if is_own else read_prepared(path)
    elif (read := _label_rows_reader(path)) is not None:
        check_options(path, files, "--images")
        yield from _with_files(path, files.images, list(read(path)))
    else:
        log.info("%s: paths are relative to %s", path, files.images or path.parent)
        yield from read_listed(path, _only(tasks, path), files)


def _only(tasks: Sequence[Task], path: Path) -> Task:
    """The only task; ConfigError for several, since these labels name none."""
    if len(tasks) > 1:
        names = ", ".join(task.short_name for task in tasks)
        raise ConfigError(f"{path}: names no task, and the run learnt {names}", "Give --task")
    return tasks[0]


def _label_rows_reader(path: Path) -> Optional[Callable[[Path], Iterator[LabelRow]]]:
    """The function that reads a label file whose rows name tasks; None for other files."""
    first = [fields for fields, _ in itertools.islice(read_csv_rows(path), 2)]
    for reader in readers():
        if reader.read_label_rows and reader.questions and reader.questions.matches(first):
            return reader.read_label_rows
    return None


def _with_files(
    path: Path, images: Optional[Path], rows: Sequence[LabelRow]
) -> Iterator[LabelledRow]:
    """The rows of a competition's label file with their images.

    Paths are relative to ``images``, else to the parent of the file's folder as in the
    competition's archives, or to the file's folder if the first image is not found there.
    """
    folders = [images] if images is not None else [path.parent.parent, path.parent]
    places = [ImageFiles(folder) for folder in folders]
    files = next((each for each in places if is_existing_file(rows[0].image, each)), places[0])
    for row in rows:
        found = files.find(files.relative_path(row.image, row.where, "a path"), row.where)
        if found is None:
            raise files.missing_of_user([(row.image, row.where)])
        yield LabelledRow(row.image, row.task, row.marks, "", row.where, files.root / found)


def _of_run(
    row: LabelledRow, tasks: Sequence[Task], run: str, labels: str
) -> Optional[LabelledRow]:
    """The row with the run's task; None for another task. DataError when the classes differ."""
    same = next((task for task in tasks if task.name == row.task.name), None)
    if same is None:
        return None
    check_same_classes(row.task, same, (labels, run))
    return row._replace(task=same)


def _of_split(
    rows: Sequence[LabelledRow], split: Optional[str], labels: str
) -> Sequence[LabelledRow]:
    """The rows of a split; ConfigError for rows of several splits where none was chosen."""
    found = [name for name in SPLITS if any(row.split == name for row in rows)]
    if split is not None:
        if split not in found:
            has = f"its rows are of {', '.join(found)}" if found else "its rows have no split"
            raise ConfigError(f"--split {split}: {labels} has no such rows, {has}")
        return [row for row in rows if row.split == split]
    if len(found) > 1:
        raise ConfigError(
            f"{labels}: has rows of {', '.join(found)}",
            f"Give --split, such as --split {found[-1]}",
        )
    return rows


def _identity(file: Path) -> tuple[int, int]:
    """What a file has in common with all links to it."""
    status = file.stat()
    return status.st_dev, status.st_ino
