"""The predictions that a report shows: of a split, out of folds, or from files; task by task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np

from fashionai.errors import ConfigError, DataError, counted
from fashionai.families import expand_tasks
from fashionai.files.names import composed
from fashionai.pipeline.decode import ImageFile
from fashionai.predictions.formats import format_of
from fashionai.progress import ProgressBar, no_bar
from fashionai.reporting.report.subjects import OUT_OF_FOLD, Subject, split_of
from fashionai.scoring.bootstrap import RESAMPLES
from fashionai.scoring.evaluate import TaskEvaluation, evaluate_task, rows_of_file
from fashionai.scoring.joining import check_same_classes, match_rows
from fashionai.scoring.labelled_predictions import LabelledPredictions
from fashionai.scoring.labels import LabelFiles
from fashionai.scoring.out_of_fold import rows_of_folds
from fashionai.scoring.splits import rows_of_split
from fashionai.tasks import Task


class Source(NamedTuple):
    """Where predictions come from: a split, or files in the order of the runs and their labels.

    One file may hold the predictions of all runs. ``split`` is used without files; None stands for
    validation, or for the out-of-fold predictions of a cross-validation.
    """

    split: Optional[str] = None
    files: Sequence[Path] = ()
    labels: LabelFiles = LabelFiles(())


class Result(NamedTuple):
    """The N rows of one task as one run predicts them, and their scores.

    ``origin`` says which predictions they are: a split or a file.
    """

    subject: Subject
    origin: str
    rows: LabelledPredictions
    evaluation: TaskEvaluation


class TaskResults(NamedTuple):
    """One task with the results of all runs that predict it; their rows have the same order."""

    task: Task
    results: Sequence[Result]


def collect_results(
    subjects: Sequence[Subject],
    source: Source,
    task_names: Sequence[str],
    contexts: list[Any],
    progress: ProgressBar = no_bar,
    **options: Any,
) -> list[TaskResults]:
    """The predictions and scores of all runs, by task; ``options`` as for rows_of_split.

    Only tasks in ``task_names`` are used, where any are given. Rows of a held-out background are
    left out. Raises ConfigError for tasks that no run has learnt and for a split that a run does
    not have, and DataError when two runs predict other rows or classes of one task.
    """
    wanted = _wanted_tasks(subjects, task_names)
    check_source(subjects, source)
    found: dict[str, list[Result]] = {}
    for at, subject in enumerate(subjects):
        if not any(task in wanted for task in subject.tasks):
            continue
        if source.files:
            file = source.files[min(at, len(source.files) - 1)]
            origin, parts = str(file), _rows_of_file(file, subject, source.labels, wanted)
        else:
            origin = split_of(subject, source.split)
            parts = _rows_of_subject(subject, origin, contexts, progress, **options)
        for rows in parts:
            if rows.task in wanted:
                found.setdefault(rows.task.name, []).append(_result(subject, origin, rows))
    return [_aligned(results) for results in found.values()]


def check_source(subjects: Sequence[Subject], source: Source) -> None:
    """ConfigError unless each run has predictions: a split that it has, or a file."""
    for subject in subjects:
        if not source.files:
            split_of(subject, source.split)
    if len(source.files) in (0, len(subjects)):
        return
    names = [task.name for subject in subjects for task in subject.tasks]
    if len(source.files) != 1 or len(set(names)) < len(names):
        raise ConfigError(
            f"--predictions: found {counted(len(source.files), 'file')} for "
            f"{counted(len(subjects), 'run')}",
            "Give one file for each run, in their order; one file alone serves runs of different "
            "tasks",
        )


def _wanted_tasks(subjects: Sequence[Subject], task_names: Sequence[str]) -> list[Task]:
    learnt = list(dict.fromkeys(task for subject in subjects for task in subject.tasks))
    wanted = expand_tasks(task_names, learnt) or learnt
    unlearnt = [task.name for task in wanted if task not in learnt]
    if unlearnt:
        names = ", ".join(task.name for task in learnt)
        raise ConfigError(f"--task: the runs learnt {names}, not {', '.join(unlearnt)}")
    return wanted


def _rows_of_subject(
    subject: Subject, split: str, contexts: list[Any], progress: ProgressBar, **options: Any
) -> list[LabelledPredictions]:
    if split == OUT_OF_FOLD:
        return rows_of_folds(subject.path)
    return rows_of_split(subject.runs[0], split, contexts, progress=progress, **options)


def _rows_of_file(
    file: Path, subject: Subject, labels: LabelFiles, wanted: Sequence[Task]
) -> list[LabelledPredictions]:
    """The rows of the run's tasks in a prediction file.

    A table of one task does not name it: it is taken for that of the run.
    """
    tasks = [task for task in subject.tasks if task in wanted]
    holds_tasks = format_of(tasks[0]).holds_tasks
    # Files that name a task in each row refuse a folder of images.
    files = labels._replace(images=None) if holds_tasks else labels
    names = [task.name for task in tasks]
    parts = rows_of_file(file, files, task_names=names if holds_tasks else (), name=names[0])
    found = []
    for part in parts:
        task = next((each for each in tasks if each.name == part.task.name), None)
        if task is None:
            raise DataError(
                f"{file}: has rows of {part.task.name}, and {subject.name} learnt "
                f"{', '.join(names)}"
            )
        check_same_classes(part.task, task, (str(file), subject.name))
        images = [each or _find_image(name, labels) for each, name in zip(part.files, part.images)]
        found.append(part._replace(task=task, files=images))
    return found


def _find_image(name: str, labels: LabelFiles) -> Optional[ImageFile]:
    """The image of a name in label files: below --images, or beside a file or its folder."""
    folders = [labels.images] if labels.images else []
    folders += [folder for path in labels.paths for folder in (path.parent, path.parent.parent)]
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _result(subject: Subject, origin: str, rows: LabelledPredictions) -> Result:
    """The result of rows without those of a held-out background."""
    of_class = rows.marks.any(axis=1)
    rows = rows if of_class.all() else rows.of_rows(np.flatnonzero(of_class))
    evaluation = evaluate_task(rows.task, rows.probabilities, rows.marks, resamples=RESAMPLES)
    return Result(subject, origin, rows, evaluation)


def _aligned(results: Sequence[Result]) -> TaskResults:
    """The results of one task with their rows in the order of the first."""
    first = results[0]
    aligned = [first]
    for result in results[1:]:
        names = [f"{each.subject.name} ({each.origin})" for each in (result, first)]
        check_same_classes(result.rows.task, first.rows.task, (names[0], names[1]))
        keys = [[(composed(image), "") for image in each.rows.images] for each in (result, first)]
        order = match_rows(keys[0], keys[1], (names[0], names[1]), "prediction")
        rows = result.rows.of_rows(np.array(order))
        aligned.append(_result(result.subject, result.origin, rows))
    return TaskResults(first.rows.task, aligned)
