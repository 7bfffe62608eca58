"""Runs on the splits they were prepared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fashionai.datasets.folders import read_split
from fashionai.inference.evaluation import TaskEvaluation, evaluate_task
from fashionai.inference.predictor import predict_images
from fashionai.runs import RunFolder


def evaluate_run(run: RunFolder, split: str, contexts: list[Any], **options: Any) -> TaskEvaluation:
    """Score one run on a split of its prepared folder; options as for predict_images."""
    task = run.read_task()
    prepared = read_split(Path(run.read_config().data.folder) / task.name, split)
    probabilities = predict_images(prepared.paths, task, [run], contexts, **options)
    return evaluate_task(task, probabilities, prepared.marks)
