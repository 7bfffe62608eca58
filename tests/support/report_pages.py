"""Results of runs that were never trained, and reports on them."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from fashionai.metrics import marks_from_classes
from fashionai.reporting.report.results import Result, Source, TaskResults
from fashionai.reporting.report.subjects import Subject
from fashionai.reporting.report.writing import write_report
from fashionai.runs import Run, RunFolder
from fashionai.scoring.evaluate import evaluate_task
from fashionai.scoring.rows.labelled_predictions import LabelledPredictions
from fashionai.tasks import Task, task_to_json

CONFIG = """\
task: {task}
model: {{name: small_cnn, pretrained: false}}
data: {{resize_short: 36, crop: 32, folder: "{folder}"}}
epochs: 3
"""


def make_subject(path: Path, task: Task, prepared: Path = Path("nowhere")) -> Subject:
    """A run with a configuration, classes and three epochs, and without weights."""
    run = RunFolder(path)
    path.mkdir(parents=True)
    run.config_file.write_text(CONFIG.format(task=json.dumps(task.name), folder=prepared))
    run.classes_file.write_text(json.dumps({"tasks": [task_to_json(task)]}))
    run.metrics_file.write_text(json.dumps({"tasks": {}, "best_epoch": 2, "finished": True}))
    columns = ["epoch", "train_loss", "val_log_loss", "train_accuracy", "val_accuracy", "val_map"]
    rows = [
        [epoch, 1 / epoch, 2 / epoch, 0.3 * epoch, 0.2 * epoch, 0.25 * epoch] for epoch in (1, 2, 3)
    ]
    with open(run.history_file, "w", newline="") as handle:
        csv.writer(handle).writerows([columns, *rows])
    return Subject(path, [Run(run)], False)


def make_probabilities(truth: np.ndarray, classes: int, accuracy: float, seed: int) -> np.ndarray:
    """Probabilities ``(N, C)`` of a run that is right for about this share of the rows."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(len(truth), classes))
    aims = np.where(
        rng.random(len(truth)) < accuracy, truth, rng.integers(classes, size=len(truth))
    )
    logits[np.arange(len(truth)), aims] += 3 + rng.exponential(1, len(truth))
    exponents = np.exp(logits)
    return (exponents / exponents.sum(axis=1, keepdims=True)).round(8)


def make_results(
    folder: Path,
    task: Task,
    rows: int,
    accuracies: Sequence[float],
    images: Sequence[str] | None = None,
    resamples: int = 50,
) -> TaskResults:
    """Results of one made-up run for each accuracy, in ``folder``; every image is one file."""
    truth = np.random.default_rng(0).integers(len(task.classes), size=rows)
    marks = marks_from_classes(truth, len(task.classes))
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "image.jpg"
    noise = np.random.default_rng(1).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    cv2.imwrite(str(file), cv2.GaussianBlur(noise, (0, 0), 3))
    names = list(images or [f"{row:06d}.jpg" for row in range(rows)])
    files = [_Named(file, name) for name in names]
    results = []
    for number, accuracy in enumerate(accuracies):
        subject = make_subject(folder / f"run-{number}", task)
        probabilities = make_probabilities(truth, len(task.classes), accuracy, number)
        predicted = LabelledPredictions(task, names, files, marks, probabilities)
        evaluation = evaluate_task(task, probabilities, marks, resamples=resamples)
        results.append(Result(subject, "val", predicted, evaluation))
    return TaskResults(task, results)


class _Named:
    """A file that is shown with another name."""

    def __init__(self, file: Path, name: str) -> None:
        self._file, self._name = file, name

    def __str__(self) -> str:
        return self._name

    def read_bytes(self) -> bytes:
        return self._file.read_bytes()


def write_page(out: Path, *tasks: TaskResults) -> Path:
    """Write the report on these tasks; returns its file."""
    subjects = list(dict.fromkeys(each.subject.path for task in tasks for each in task.results))
    by_path = {each.subject.path: each.subject for task in tasks for each in task.results}
    write_report(out, [by_path[path] for path in subjects], tasks, Source(), 1, "fashionai report")
    return out
