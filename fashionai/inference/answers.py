"""Prediction files from plans: which images of which task go through which runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fashionai.datasets.fashionai_csv import read_questions, row_images
from fashionai.datasets.training_rows import read_rows
from fashionai.errors import DataError, RunError
from fashionai.inference.predictor import Question, predict
from fashionai.inference.submissions import PredictedRow, write_predictions
from fashionai.runs import RunFolder, best_finished_runs
from fashionai.tasks import Task


class Part(NamedTuple):
    """The rows of one task: what is asked, their positions in the prediction file, their names."""

    question: Question
    positions: list[int]
    images: list[str]


def plan_questions(
    questions: Path, tasks: Sequence[Task], runs: Sequence[RunFolder], data: Path
) -> list[Part]:
    """One part for each task of a question file, or for those of ``tasks`` when given.

    Without ``runs`` a task takes its best finished run. Raises RunError, before
    anything is computed, for a task without a run and for a run that no task
    takes.
    """
    if not questions.is_file():
        raise DataError(
            f"{questions}: no such question file",
            "Unpack the test archive so that it exists, or name it with --questions or --data",
        )
    asked = read_questions(questions, data)
    present = list(dict.fromkeys(row.task for row in asked.rows))
    absent = [task.name for task in tasks if task not in present]
    if absent:
        raise RunError(f"{questions}: has no rows of {', '.join(absent)}")
    chosen = [task for task in present if not tasks or task in tasks]
    runs_of = _assign_runs(chosen, runs)
    kept = [index for index, row in enumerate(asked.rows) if row.task in chosen]
    parts = []
    for task in chosen:
        rows = [(place, at) for place, at in enumerate(kept) if asked.rows[at].task == task]
        parts.append(
            Part(
                Question(task, [asked.images[at] for _, at in rows], runs_of[task]),
                [place for place, _ in rows],
                [asked.rows[at].image for _, at in rows],
            )
        )
    return parts


def plan_split(split: str, tasks: Sequence[Task], runs: Sequence[RunFolder]) -> list[Part]:
    """One part for each task, its images those of a split of the runs' prepared folder.

    The tasks are those of ``runs`` where none are named. Raises RunError when
    the runs of a task were trained on different rows.
    """
    if not tasks and not runs:
        raise RunError("nothing to predict", "Name a --task or a --run with --split")
    chosen = list(tasks) or list(dict.fromkeys(task for run in runs for task in run.read_tasks()))
    if len({task.family for task in chosen}) > 1:
        raise RunError("tasks of different data sets do not go into one prediction file")
    parts = []
    start = 0
    for task, task_runs in _assign_runs(chosen, runs).items():
        config = task_runs[0].read_config().model_copy(update={"task": task.name})
        if split != "test":
            _check_same_rows(task_runs)
        rows = read_rows(config, split)
        images = row_images(task, rows.sources)
        positions = list(range(start, start + len(images)))
        parts.append(Part(Question(task, rows.paths, task_runs), positions, images))
        start += len(images)
    return parts


def write_answers(plan: Sequence[Part], out: Path, contexts: list[Any], **options: Any) -> int:
    """Predict every part and write the family's prediction file; returns its number of rows.

    ``options`` are those of fashionai.inference.predictor.predict.
    """
    answers = predict([part.question for part in plan], contexts, **options)
    rows: list[Any] = [None] * sum(len(part.positions) for part in plan)
    for part, probabilities in zip(plan, answers):
        for position, image, values in zip(part.positions, part.images, probabilities):
            rows[position] = PredictedRow(image, part.question.task, values)
    write_predictions(out, rows)
    return len(rows)


def _check_same_rows(runs: Sequence[RunFolder]) -> None:
    """RunError unless the runs split the rows alike: else one would answer what it has seen."""
    data = {run: run.read_config().data for run in runs}
    first = runs[0]
    for run in runs[1:]:
        for key in ("folder", "folds_file", "fold"):
            if getattr(data[run], key) != getattr(data[first], key):
                raise RunError(
                    f"{first} and {run} were trained on different rows (data.{key})",
                    "Predict the test split, or each with its own rows",
                )


def _assign_runs(tasks: Sequence[Task], runs: Sequence[RunFolder]) -> dict[Task, list[RunFolder]]:
    """The runs of every task: those that are given, or the best finished one."""
    if not runs:
        return best_finished_runs(tasks)
    assigned: dict[Task, list[RunFolder]] = {task: [] for task in tasks}
    for run in runs:
        run.check_usable()
        learnt = run.read_tasks()
        if not any(task in assigned for task in learnt):
            names = ", ".join(task.name for task in learnt)
            raise RunError(f"{run}: was trained for {names}, and no rows of it are to be predicted")
        for task in learnt:
            if task in assigned:
                assigned[task].append(run)
    without = [task.name for task in tasks if not assigned[task]]
    if without:
        raise RunError(
            f"no --run for {', '.join(without)}", "Name one for each task, or choose with --task"
        )
    return assigned
