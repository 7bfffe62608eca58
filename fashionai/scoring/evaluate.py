"""Scores of a prediction file against labels."""

from __future__ import annotations

import dataclasses
import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from fashionai.datasets.questions import names_to_predict
from fashionai.errors import ConfigError, DataError
from fashionai.families import expand_tasks, full_names
from fashionai.files.names import composed
from fashionai.files.paths import PathLike
from fashionai.metrics import count_labels, task_scores, true_classes
from fashionai.predictions.decisions import EVEN_ODDS, predicted_labels
from fashionai.predictions.formats import (
    FileRow,
    Format,
    LabelPrediction,
    PredictedRow,
    format_of,
    read_predicted_labels,
    read_predictions,
    row_key,
)
from fashionai.scoring.bootstrap import Interval, interval, resampled_scores
from fashionai.scoring.probabilities.calibration import (
    CalibrationFigures,
    calibration_figures,
    expected_calibration_error,
)
from fashionai.scoring.rows.joining import check_paths, join_rows, match_rows
from fashionai.scoring.rows.labelled_predictions import LabelledPredictions
from fashionai.scoring.rows.labels import (
    LabelFiles,
    LabelledRow,
    Labels,
    all_labels_of,
    of_predicted_splits,
    read_labels,
    task_in,
)
from fashionai.scoring.thresholds import DetectionFigures, detection_figures
from fashionai.tasks import Task

NOTHING = np.empty((0, 0))


class TaskEvaluation(NamedTuple):
    """How good the predictions for N rows of one task are.

    ``scores`` are those of the rows that belong to a class; they are empty where only labels
    were predicted. ``confusion`` ``(L, L)`` counts predicted labels, true label by row. Its
    labels are the classes and, with a threshold, a held-out background. ``resampled`` has the
    scores of bootstrap resamples ``(B,)`` by name; it is empty where none were wanted. Resamples of
    the same rows of one task are the same, so that those of two evaluations can be subtracted.
    ``probabilities`` and ``marks`` ``(n, C)`` are those of the rows that belong to a class, and
    empty where only labels were predicted. ``before_and_after`` has the figures of a run's
    probabilities before and after its calibration; it is empty without one.
    """

    task: Task
    rows: int
    scores: dict[str, float]
    confusion: np.ndarray
    figures: Optional[DetectionFigures]
    resampled: Mapping[str, np.ndarray] = {}
    probabilities: np.ndarray = NOTHING
    marks: np.ndarray = NOTHING
    before_and_after: Sequence[CalibrationFigures] = ()

    @property
    def intervals(self) -> dict[str, Interval]:
        """The 95 % confidence interval of each score, as far as there are resamples."""
        return {key: interval(values) for key, values in self.resampled.items()}

    @property
    def calibration_error(self) -> float:
        """The expected calibration error of the probabilities; NaN where only labels are known."""
        if not self.scores:
            return math.nan
        return expected_calibration_error(self.probabilities, true_classes(self.marks))

    @property
    def calibration(self) -> Sequence[CalibrationFigures]:
        """The figures before and after a calibration, or those of the scored probabilities."""
        return self.before_and_after or [calibration_figures(self.probabilities, self.marks)]

    @property
    def name(self) -> str:
        """The task's name."""
        return self.task.name

    @property
    def rows_of_classes(self) -> int:
        """The number of rows that ``scores`` are computed from."""
        return int(self.confusion[: len(self.task.classes)].sum())

    @property
    def labels(self) -> Sequence[str]:
        """The names of the rows and columns of ``confusion``."""
        return self.task.labels[: len(self.confusion)]


def evaluate_task(
    task: Task,
    probabilities: np.ndarray,
    marks: np.ndarray,
    threshold: Optional[float] = None,
    resamples: int = 0,
) -> TaskEvaluation:
    """Score the predictions of one task, and as many bootstrap resamples of them.

    The arrays are those of fashionai.metrics, and fashionai.predictions.decisions explains the
    threshold. Images of a held-out background, whose marks have no YES, count only with a
    threshold. Raises DataError without images of the classes, or with a threshold but without
    images of the background.
    """
    of_class = marks.any(axis=1)
    if not of_class.any():
        raise DataError(f"{task.name}: no rows of its classes to score")
    if threshold is not None:
        _check_background(task, marks)
    scored = probabilities[of_class], marks[of_class]
    stream = _random_stream(task, scored[1])
    resampled = resampled_scores(*scored, stream, resamples) if resamples else {}
    counted = np.ones_like(of_class) if threshold is not None else of_class
    truth = true_labels(task, marks)[counted]
    predicted = predicted_labels(task, probabilities[counted], threshold)
    labels = len(task.classes) if threshold is None else len(task.labels)
    confusion = count_labels(truth, predicted, labels)
    evaluation = _evaluation(task, task_scores(*scored), confusion, threshold)
    return evaluation._replace(resampled=resampled, probabilities=scored[0], marks=scored[1])


def evaluate_rows(
    tasks: Sequence[LabelledPredictions], threshold: Optional[float] = None, resamples: int = 0
) -> list[TaskEvaluation]:
    """Score the rows of each task, as evaluate_task does."""
    return [
        evaluate_task(each.task, each.probabilities, each.marks, threshold, resamples)
        for each in tasks
    ]


def _random_stream(task: Task, marks: np.ndarray) -> np.random.Generator:
    """The same stream for the same rows each time, whatever the task is called.

    Tasks of other classes or labels have other streams: their rows are independent.
    """
    classes = "\n".join(task.classes).encode("utf-8", "surrogateescape")
    return np.random.default_rng(zlib.crc32(classes + marks.astype(np.int8).tobytes()))


def _check_background(task: Task, marks: np.ndarray) -> None:
    """DataError when a held-out background has no images, so that precision has no meaning."""
    if task.holds_out_background and marks.any(axis=1).all():
        raise DataError(
            f"{task.name}: no rows of {task.background}, which the official figures need",
            "Score the test split, or probabilities without --threshold",
        )


def true_labels(task: Task, marks: np.ndarray) -> np.ndarray:
    """The true label of each row as an index ``(N,) int64`` into the task's labels."""
    return np.where(marks.any(axis=1), true_classes(marks), len(task.classes))


def evaluate_file(
    predictions: PathLike,
    labels: Sequence[PathLike],
    questions: Optional[PathLike] = None,
    task_names: Sequence[str] = (),
    threshold: Optional[float] = None,
    name: Optional[str] = None,
    *,
    columns: Optional[Mapping[str, Optional[str]]] = None,
    images: Optional[Path] = None,
    resamples: int = 0,
) -> list[TaskEvaluation]:
    """Score a prediction file against labels.

    All rows of a label file must be predicted. Of a prepared folder, all rows of a task and split
    must be predicted if any of them is; the other tasks and splits are not scored. Only labels of
    the tasks in ``task_names``, or in a table's column ``task``, are used. Where neither the
    predictions nor the labels name the task, it is called ``name``.

    Args:
        predictions: A prediction file of any format that predict writes.
        labels: Label files, answer files, class folders or prepared folders.
        questions: A question file; only labels of its images are scored.
        task_names: Only rows of these tasks are scored; all tasks by default.
        threshold: For two classes or a held-out background, the probability that decides.
        name: The name of a task without one; that of the prediction file without its suffix by
            default.
        columns: Names or numbers of the columns of a CSV file of labels, by role (``path``,
            ``label``, ``split``); needed for columns with unusual names.
        images: Folder that the paths in a CSV file of labels are relative to; by default its own.
        resamples: Number of bootstrap resamples for the confidence intervals of the scores.

    Returns:
        One evaluation per task, in the order of the file's rows.

    Raises:
        DataError: Rows are missing, extra, repeated or malformed.
        ConfigError: The threshold changes nothing, or one is needed.

    Example:
        >>> (skirt,) = fashionai.evaluate_file("submission.csv", ["answer.csv"])
        >>> skirt.scores["map"]
    """
    predictions = Path(predictions)
    questions = None if questions is None else Path(questions)
    label_paths = [Path(each) for each in labels]
    files = LabelFiles(label_paths, columns or {}, None if images is None else Path(images))
    label_rows = read_predicted_labels(predictions)
    if label_rows is not None:
        if threshold is not None:
            raise ConfigError(
                f"--threshold: {predictions} holds predicted labels, not probabilities"
            )
        names = str(predictions), files.names
        named = [row.image for row in label_rows]
        labelled = read_labels(files, [label_rows[0].task], task_names, named)
        label_rows = _choose_rows(label_rows, labelled, names, questions, task_names)
        return [_evaluate_labels(label_rows, labelled, names)]
    rows = rows_of_file(predictions, files, questions, task_names, threshold, name)
    return evaluate_rows(rows, threshold, resamples)


def rows_of_file(
    predictions: Path,
    files: LabelFiles,
    questions: Optional[Path] = None,
    task_names: Sequence[str] = (),
    threshold: Optional[float] = None,
    name: Optional[str] = None,
) -> list[LabelledPredictions]:
    """The rows of a file of probabilities that evaluate_file scores, by task; errors as there."""
    names = str(predictions), files.names
    predicted = read_predictions(predictions)
    if threshold is None:
        _check_even_odds(predicted, predictions)
    wanted = _wanted_tasks(predicted[0].task_name, task_names, predictions)
    tasks = list({row.task: None for row in predicted})
    labelled = read_labels(files, tasks, wanted, [row.image for row in predicted])
    name = predicted[0].task_name or name or predictions.stem
    if not any(row.task.name for row in labelled.values()):
        _check_only_task(name, task_names, names)
    labelled = {key: _named(row, name) for key, row in labelled.items()}
    predicted = _choose_rows(predicted, labelled, names, questions, task_names)
    found = []
    for part in join_rows([predicted]):
        truth = all_labels_of(part.task, part.images, labelled, names)
        images = [labelled[row_key(image, part.task)].file for image in part.images]
        found.append(
            LabelledPredictions(truth.task, part.images, images, truth.marks, part.probabilities[0])
        )
    return found


def _wanted_tasks(in_file: str, task_names: Sequence[str], path: Path) -> Sequence[str]:
    """The full names of the tasks to score; ``in_file`` is the task that a table names, if any.

    Raises DataError when the table names another task.
    """
    wanted = full_names(task_names)
    if in_file and wanted and in_file not in wanted:
        raise DataError(f"{path}: has rows of {in_file}, and none of {', '.join(wanted)}")
    return [in_file] if in_file else wanted


def _check_only_task(name: str, task_names: Sequence[str], names: tuple[str, str]) -> None:
    """ConfigError for other names than this one, which a table gets whose labels name no task."""
    wanted = full_names(task_names)
    if wanted and name not in wanted:
        raise ConfigError(
            f"--task {task_names[0]}: neither {names[0]} nor {names[1]} names its task",
            "A table has one task: leave --task out",
        )


def _named(row: LabelledRow, name: str) -> LabelledRow:
    """The row with the task's name, or with ``name`` where its task has none."""
    task = row.task
    return row if task.name else row._replace(task=dataclasses.replace(task, name=name))


def _check_even_odds(rows: Sequence[PredictedRow], path: Path) -> None:
    """ConfigError for a file whose predicted labels follow from another threshold than 0.5."""
    for row in rows:
        label = row.less_probable_class
        if label is not None:
            raise ConfigError(
                f"{path}: {row.image} is '{row.task.classes[label]}' at a probability of "
                f"{row.probabilities[1]:g}, so the file was written with another threshold than "
                f"{EVEN_ODDS}",
                "Give that threshold with --threshold",
            )


def _evaluation(
    task: Task, scores: dict[str, float], confusion: np.ndarray, threshold: Optional[float]
) -> TaskEvaluation:
    figures = detection_figures(task, confusion, threshold)
    # Without images of a held-out background the figures have no meaning.
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
    """The predicted rows to score; DataError unless the same rows have labels."""
    file_format = format_of(rows[0].task)
    predicted, truth = list(rows), list(labelled.values())
    tasks = expand_tasks(task_names, list({row.task: None for row in truth}))
    if tasks:
        in_files = [task_in(file_format, task) for task in tasks]
        predicted = [row for row in predicted if row.task in in_files]
        truth = [row for row in truth if row.task in tasks]
    if not predicted:
        raise DataError(f"{names[0]}: no rows of {', '.join(task.name for task in tasks)}")
    if questions is not None:
        truth = _rows_in_questions(truth, questions, file_format)
    images = [row.key(file_format)[0] for row in truth]
    check_paths([row.key[0] for row in predicted], images, names)
    truth = of_predicted_splits(truth, predicted, file_format)
    _check_same_tasks(predicted, truth, file_format, names)
    match_rows([row.key for row in predicted], [row.key(file_format) for row in truth], names)
    return predicted


def _rows_in_questions(
    rows: Sequence[LabelledRow], questions: Path, file_format: Format
) -> list[LabelledRow]:
    """The rows whose image and task a question file lists; without tasks, whose image it lists."""
    listed = {
        (composed(file_format.image_name(image)), task.name if task else None)
        for image, task in names_to_predict(questions)
    }
    names = [composed(file_format.image_name(row.image)) for row in rows]
    return [row for row, name in zip(rows, names) if {(name, row.task.name), (name, None)} & listed]


def _evaluate_labels(
    rows: Sequence[LabelPrediction], labelled: Labels, names: tuple[str, str]
) -> TaskEvaluation:
    """Score predicted labels of one task."""
    truth = [labelled[row.key] for row in rows]
    task = truth[0].task
    if task.labels != rows[0].task.labels:
        raise DataError(f"{names[1]} has other classes than {names[0]}")
    indices = {label: index for index, label in enumerate(task.labels)}
    predicted = np.array([indices[row.label] for row in rows])
    marks = np.array([row.marks for row in truth])
    _check_background(task, marks)
    true = true_labels(task, marks)
    return _evaluation(task, {}, count_labels(true, predicted, len(task.labels)), None)


def _check_same_tasks(
    predicted: Sequence[FileRow],
    truth: Sequence[LabelledRow],
    file_format: Format,
    names: tuple[str, str],
) -> None:
    """DataError when only some of the tasks that have labels are predicted."""
    in_predictions = {row.task for row in predicted}
    in_labels = list(dict.fromkeys(row.task for row in truth))
    unpredicted = [task for task in in_labels if task_in(file_format, task) not in in_predictions]
    common = [task for task in in_labels if task not in unpredicted]
    if unpredicted and common:
        raise DataError(
            f"{names[0]}: has no rows of {', '.join(task.name for task in unpredicted)}, "
            f"which {names[1]} has",
            f"Give --task {common[0].short_name} to score only some tasks",
        )
