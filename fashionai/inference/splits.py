"""Runs on the splits they were prepared with."""

from __future__ import annotations

from typing import Any

from fashionai.datasets.training_rows import read_rows
from fashionai.inference.evaluation import TaskEvaluation, evaluate_task
from fashionai.inference.predictor import Question, predict
from fashionai.inference.submissions import as_written
from fashionai.runs import RunFolder
from fashionai.tasks import columns_of


def evaluate_run(
    run: RunFolder, split: str, contexts: list[Any], **options: Any
) -> list[TaskEvaluation]:
    """Score one run on a split of its prepared folders, task by task; options as for predict."""
    rows = read_rows(run.read_config(), split)
    of_task = [rows.of_task(head) for head in range(len(rows.tasks))]
    questions = [
        Question(task, [rows.paths[row] for row in at], [run])
        for task, at in zip(rows.tasks, of_task)
    ]
    answers = predict(questions, contexts, **options)
    return [
        evaluate_task(task, as_written(probabilities), rows.marks[at, columns])
        for task, probabilities, at, columns in zip(
            rows.tasks, answers, of_task, columns_of(rows.tasks)
        )
    ]
