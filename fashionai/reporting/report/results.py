"""The predictions that a report shows: of a split, out of folds, or from files; task by task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

import numpy as np

from fashionai.errors import ConfigError, DataError, counted
from fashionai.families import expand_tasks
from fashionai.files.names import composed
from fashionai.metrics import MAYBE
from fashionai.pipeline.decode import ImageFile
from fashionai.predictions.decisions import check_threshold, predicted_labels
from fashionai.predictions.formats import format_of
from fashionai.progress import ProgressBar, no_bar
from fashionai.reporting.report.subjects import OUT_OF_FOLD, Subject, split_of
from fashionai.scoring.bootstrap import RESAMPLES
from fashionai.scoring.evaluate import TaskEvaluation, evaluate_task, rows_of_file, true_labels
from fashionai.scoring.out_of_fold import rows_of_folds
from fashionai.scoring.rows.joining import check_same_classes, match_rows
from fashionai.scoring.rows.labelled_predictions import LabelledPredictions
from fashionai.scoring.rows.labels import LabelFiles
from fashionai.scoring.splits import rows_of_split, threshold_of_run, warn_of_chosen_threshold
from fashionai.tasks import Task

# The threshold that stands for the best one on validation.
AUTO = "auto"


class Source(NamedTuple):
    """Where predictions come from: a split, or files in the order of the runs and their labels.

    One file may hold the predictions of all runs. ``split`` is used without files; None stands for
    validation, or for the out-of-fold predictions of a cross-validation. ``threshold`` is that of
    evaluate_task, or AUTO: for each run the best one on its validation split.
    """

    split: Optional[str] = None
    files: Sequence[Path] = ()
    labels: LabelFiles = LabelFiles(())
    threshold: Union[float, str, None] = None


class Result(NamedTuple):
    """The N rows of one task as one run predicts them, and their scores.

    ``origin`` says which predictions they are: a split or a file. ``threshold`` is that of
    ``evaluation``, see evaluate_task.
    """

    subject: Subject
    origin: str
    rows: LabelledPredictions
    evaluation: TaskEvaluation
    threshold: Optional[float] = None

    @property
    def truth(self) -> np.ndarray:
        """The true labels ``(N,) int64``, as indices into those of the evaluation."""
        return true_labels(self.rows.task, self.rows.marks)

    @property
    def predicted(self) -> np.ndarray:
        """The predicted labels ``(N,) int64``, as indices into those of the evaluation."""
        return predicted_labels(self.rows.task, self.rows.probabilities, self.threshold)

    @property
    def accepted(self) -> np.ndarray:
        """Whether the annotators marked the predicted class as MAYBE, ``(N,) bool``."""
        # A held-out background has no mark.
        marks = np.pad(self.rows.marks, ((0, 0), (0, 1)))
        return marks[np.arange(len(marks)), self.predicted] == MAYBE


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
    left out, unless there is a threshold. Raises ConfigError for tasks that no run has learnt, for
    a split that a run does not have and for a threshold that changes nothing, and DataError when
    two runs predict other rows or classes of one task.
    """
    wanted = _wanted_tasks(subjects, task_names)
    check_source(subjects, source)
    if source.threshold is not None:
        for task in wanted:
            check_threshold(task)
    found: dict[str, list[Result]] = {}
    for at, subject in enumerate(subjects):
        if not any(task in wanted for task in subject.tasks):
            continue
        threshold = source.threshold
        if isinstance(threshold, str):
            names = [task.name for task in subject.tasks if task in wanted]
            threshold = threshold_of_run(
                subject.runs[0], contexts, progress, task_names=names, **options
            )
            if not source.files:
                warn_of_chosen_threshold(split_of(subject, source.split))
        if source.files:
            file = source.files[min(at, len(source.files) - 1)]
            origin = str(file)
            parts = _rows_of_file(file, subject, source.labels, wanted, threshold)
        else:
            origin, background = split_of(subject, source.split), threshold is not None
            parts = _rows_of_subject(subject, origin, background, contexts, progress, **options)
        for rows in parts:
            if rows.task in wanted:
                result = _result(subject, origin, rows, threshold)
                found.setdefault(rows.task.name, []).append(result)
    return [_aligned(results) for results in found.values()]


def check_source(subjects: Sequence[Subject], source: Source) -> None:
    """ConfigError unless each run has predictions: a split that it has, or a file.

    AUTO as threshold needs runs with a validation split.
    """
    for subject in subjects:
        if not source.files:
            split_of(subject, source.split)
        if source.threshold == AUTO and subject.is_cross_validation:
            raise ConfigError(
                f"--threshold {AUTO}: {subject.name} is a cross-validation, expected a single run",
                "Give the threshold as a number from 0 to 1",
            )
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
    subject: Subject,
    split: str,
    background: bool,
    contexts: list[Any],
    progress: ProgressBar,
    **options: Any,
) -> list[LabelledPredictions]:
    if split == OUT_OF_FOLD:
        return rows_of_folds(subject.path)
    return rows_of_split(subject.runs[0], split, contexts, background, progress, **options)


def _rows_of_file(
    file: Path,
    subject: Subject,
    labels: LabelFiles,
    wanted: Sequence[Task],
    threshold: Optional[float],
) -> list[LabelledPredictions]:
    """The rows of the run's tasks in a prediction file.

    A table of one task does not name it: it is taken for that of the run.
    """
    tasks = [task for task in subject.tasks if task in wanted]
    holds_tasks = format_of(tasks[0]).holds_tasks
    # Files that name a task in each row refuse a folder of images.
    files = labels._replace(images=None) if holds_tasks else labels
    names = [task.name for task in tasks]
    in_file = names if holds_tasks else ()
    parts = rows_of_file(file, files, None, in_file, threshold, names[0])
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


def _result(
    subject: Subject, origin: str, rows: LabelledPredictions, threshold: Optional[float]
) -> Result:
    """The result of rows; without a threshold, those of a held-out background are left out."""
    counted_rows = rows.marks.any(axis=1) | (threshold is not None)
    rows = rows if counted_rows.all() else rows.of_rows(np.flatnonzero(counted_rows))
    evaluation = evaluate_task(rows.task, rows.probabilities, rows.marks, threshold, RESAMPLES)
    return Result(subject, origin, rows, evaluation, threshold)


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
        aligned.append(_result(result.subject, result.origin, rows, result.threshold))
    return TaskResults(first.rows.task, aligned)
