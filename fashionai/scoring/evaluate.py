"""Scores of a prediction file against labels, or of runs on a prepared split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional, TypeVar

import numpy as np

from fashionai.datasets.questions import names_to_predict
from fashionai.errors import ConfigError, DataError
from fashionai.families import expand_tasks
from fashionai.metrics import count_answers, overall_scores, task_scores, true_classes
from fashionai.predictions.decisions import EVEN_ODDS, predicted_labels
from fashionai.predictions.formats import (
    Format,
    LabelPrediction,
    PredictedRow,
    format_of,
    read_predicted_labels,
    read_predictions,
)
from fashionai.scoring.joining import join_rows, match_rows
from fashionai.scoring.labels import LabelledRow, Labels, all_labels_of, read_labels, task_in
from fashionai.scoring.thresholds import DetectionFigures, detection_figures
from fashionai.tasks import Task

# Rows of probabilities, or of answers alone.
FileRow = TypeVar("FileRow", PredictedRow, LabelPrediction)


class TaskEvaluation(NamedTuple):
    """How good the answers to N rows of one task are.

    ``scores`` are of the rows that are of a class, and empty where only answers
    are known. ``confusion`` ``(L, L)`` counts answers, true label by row; its
    labels are the classes and, with a threshold, a held-out background.
    """

    task: Task
    rows: int
    scores: dict[str, float]
    confusion: np.ndarray
    figures: Optional[DetectionFigures]

    @property
    def name(self) -> str:
        """The task's name; a table has none, and labels may not tell it."""
        return self.task.name or "table"

    @property
    def rows_of_classes(self) -> int:
        """How many rows ``scores`` are of."""
        return int(self.confusion[: len(self.task.classes)].sum())

    @property
    def labels(self) -> Sequence[str]:
        """The names of the rows and columns of ``confusion``."""
        return self.task.labels[: len(self.confusion)]


def evaluate_task(
    task: Task, probabilities: np.ndarray, marks: np.ndarray, threshold: Optional[float] = None
) -> TaskEvaluation:
    """Score one task; see fashionai.metrics for the arrays, thresholds for the threshold.

    Images of a held-out background, whose marks have no YES, count with a threshold alone.
    Raises DataError without rows of the classes, or with a threshold without such images.
    """
    of_class = marks.any(axis=1)
    if not of_class.any():
        raise DataError(f"{task.name}: no rows of its classes to score")
    if threshold is not None:
        _check_background(task, marks)
    scores = task_scores(probabilities[of_class], marks[of_class])
    counted = np.ones_like(of_class) if threshold is not None else of_class
    truth = true_labels(task, marks)[counted]
    answers = predicted_labels(task, probabilities[counted], threshold)
    labels = len(task.classes) if threshold is None else len(task.labels)
    confusion = count_answers(truth, answers, labels)
    return _evaluation(task, scores, confusion, threshold)


def _check_background(task: Task, marks: np.ndarray) -> None:
    """DataError when rows of a held-out background are missing from what they decide."""
    if task.holds_out_background and marks.any(axis=1).all():
        raise DataError(
            f"{task.name}: no rows of {task.background}, without which its answers have no score",
            "Score the test split, or probabilities without --threshold",
        )


def true_labels(task: Task, marks: np.ndarray) -> np.ndarray:
    """Indices ``(N,) int64`` into the task's labels: of the YES, else the held-out background."""
    return np.where(marks.any(axis=1), true_classes(marks), len(task.classes))


def evaluate_file(
    predictions: Path,
    labels: Sequence[Path],
    questions: Optional[Path] = None,
    task_names: Sequence[str] = (),
    threshold: Optional[float] = None,
) -> list[TaskEvaluation]:
    """Score a prediction file, task by task in the order of its rows.

    ``labels`` are as for read_labels. Every row of a label file must be
    predicted; of a prepared folder, every row of the splits that the file has
    rows of. ``questions`` restricts the labels to the rows that were asked,
    ``task_names`` both sides to some tasks. Raises DataError when rows are missing,
    extra, double or malformed, ConfigError for a threshold that decides nothing or is missing.
    """
    names = str(predictions), ", ".join(map(str, labels))
    answered = read_predicted_labels(predictions)
    if answered is not None:
        if threshold is not None:
            raise ConfigError(f"--threshold: {predictions} holds answers, not probabilities")
        labelled = read_labels(labels, [answered[0].task])
        answered = _choose_rows(answered, labelled, names, questions, task_names)
        return [_evaluate_answers(answered, labelled, names)]
    predicted = read_predictions(predictions)
    if threshold is None:
        _check_even_odds(predicted, predictions)
    labelled = read_labels(labels, list({row.task: None for row in predicted}))
    predicted = _choose_rows(predicted, labelled, names, questions, task_names)
    evaluations = []
    for part in join_rows([predicted]):
        truth = all_labels_of(part.task, part.images, labelled, names)
        probabilities = part.probabilities[0]
        evaluations.append(evaluate_task(truth.task, probabilities, truth.marks, threshold))
    return evaluations


def _check_even_odds(rows: Sequence[PredictedRow], path: Path) -> None:
    """ConfigError for answers by another threshold than that of equal odds: they are not scored."""
    for row in rows:
        if row.class_index is not None and row.class_index != row.probabilities.argmax():
            raise ConfigError(
                f"{path}: {row.image} is '{row.task.classes[row.class_index]}' at a probability of "
                f"{row.probabilities[1]:g}, so that another threshold than {EVEN_ODDS} decided",
                "Give it to --threshold",
            )


def to_json(evaluations: Sequence[TaskEvaluation]) -> dict[str, object]:
    """Mean scores at the top level, and those of every task with its number of rows."""
    scored = [evaluation.scores for evaluation in evaluations if evaluation.scores]
    overall = overall_scores(scored) if scored else {}
    tasks = {
        e.name: {
            "n": e.rows,
            **e.scores,
            **({"answers": e.figures._asdict()} if e.figures else {}),
        }
        for e in evaluations
    }
    return {**overall, "n": sum(e.rows for e in evaluations), "tasks": tasks}


def _evaluation(
    task: Task, scores: dict[str, float], confusion: np.ndarray, threshold: Optional[float]
) -> TaskEvaluation:
    figures = detection_figures(task, confusion, threshold)
    # Without its images a held-out background cannot be told from anything.
    if len(confusion) < len(task.labels):
        figures = None
    return TaskEvaluation(task, int(confusion.sum()), scores, confusion, figures)


def _choose_rows(
    rows: Sequence[FileRow],
    labelled: Labels,
    names: tuple[str, str],
    questions: Optional[Path],
    task_names: Sequence[str],
) -> list[FileRow]:
    """The predicted rows to score; DataError unless they are the labelled ones."""
    form = format_of(rows[0].task)
    predicted, answers = list(rows), list(labelled.values())
    tasks = expand_tasks(task_names, list({row.task: None for row in answers}))
    if tasks:
        in_files = [task_in(form, task) for task in tasks]
        predicted = [row for row in predicted if row.task in in_files]
        answers = [row for row in answers if row.task in tasks]
    if not predicted:
        raise DataError(f"{names[0]}: no rows of {', '.join(task.name for task in tasks)}")
    if questions is not None:
        answers = _asked_rows(answers, questions, form)
    _check_same_tasks(predicted, answers, form, names)
    answers = _of_predicted_splits(answers, predicted, form)
    match_rows([row.key for row in predicted], [row.key(form) for row in answers], names)
    return predicted


def _asked_rows(rows: Sequence[LabelledRow], questions: Path, form: Format) -> list[LabelledRow]:
    """The rows whose images a question file names, for their task or for any."""
    asked = {
        (form.image_name(image), task.name if task else None)
        for image, task in names_to_predict(questions)
    }
    keys = [row.key(form) for row in rows]
    return [row for row, (image, task) in zip(rows, keys) if {(image, task), (image, None)} & asked]


def _evaluate_answers(
    rows: Sequence[LabelPrediction], labelled: Labels, names: tuple[str, str]
) -> TaskEvaluation:
    """Score rows of one task that hold answers alone."""
    truth = [labelled[row.key] for row in rows]
    task = truth[0].task
    if task.labels != rows[0].task.labels:
        raise DataError(f"{names[1]} has other classes than {names[0]}")
    indices = {label: index for index, label in enumerate(task.labels)}
    answers = np.array([indices[row.label] for row in rows])
    marks = np.array([row.marks for row in truth])
    _check_background(task, marks)
    true = true_labels(task, marks)
    return _evaluation(task, {}, count_answers(true, answers, len(task.labels)), None)


def _check_same_tasks(
    predicted: Sequence[FileRow],
    answers: Sequence[LabelledRow],
    form: Format,
    names: tuple[str, str],
) -> None:
    """DataError where some tasks of the labels are predicted and others are not."""
    in_predictions = {row.task for row in predicted}
    in_labels = list(dict.fromkeys(row.task for row in answers))
    unpredicted = [task for task in in_labels if task_in(form, task) not in in_predictions]
    common = [task for task in in_labels if task not in unpredicted]
    if unpredicted and common:
        raise DataError(
            f"{names[0]}: has no rows of {', '.join(task.name for task in unpredicted)}, "
            f"which {names[1]} has",
            f"Give --task {common[0].short_name} to score some tasks alone",
        )


def _of_predicted_splits(
    answers: Sequence[LabelledRow], predicted: Sequence[FileRow], form: Format
) -> list[LabelledRow]:
    """Rows of label files, and of those parts of prepared folders that have predicted rows.

    A part is a split's images of classes, or those of its held-out background.
    """
    keys = {row.key for row in predicted}
    parts = {_part(row) for row in answers if row.key(form) in keys}
    return [row for row in answers if not row.split or _part(row) in parts]


def _part(row: LabelledRow) -> tuple[str, str, bool]:
    return row.task.name, row.split, row.is_background
