"""Prediction files from plans: which images of which task go through which runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fashionai.datasets.fashionai_csv import read_questions, row_image
from fashionai.datasets.folders import read_split
from fashionai.errors import DataError, RunError
from fashionai.inference.predictor import predict_images
from fashionai.inference.submissions import PredictedRow, write_fashionai, write_table
from fashionai.runs import RunFolder, best_finished_runs
from fashionai.tasks import Task


class Part(NamedTuple):
    """The rows of one task: their positions in the prediction file, names, images and runs."""

    task: Task
    positions: list[int]
    images: list[str]
    paths: list[Path]
    runs: list[RunFolder]


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
                task,
                [place for place, _ in rows],
                [asked.rows[at].image for _, at in rows],
                [asked.images[at] for _, at in rows],
                runs_of[task],
            )
        )
    return parts


def plan_split(split: str, tasks: Sequence[Task], runs: Sequence[RunFolder]) -> list[Part]:
    """One part for each task, its images those of a split of the runs' prepared folder.

    The tasks are those of ``runs`` where none are named.
    """
    if not tasks and not runs:
        raise RunError("nothing to predict", "Name a --task or a --run with --split")
    chosen = list(tasks) or list(dict.fromkeys(run.read_task() for run in runs))
    if len({task.family for task in chosen}) > 1:
        raise RunError("tasks of different data sets do not go into one prediction file")
    parts = []
    start = 0
    for task, task_runs in _assign_runs(chosen, runs).items():
        folder = Path(task_runs[0].read_config().data.folder)
        prepared = read_split(folder / task.name, split)
        images = prepared.sources
        if task.family == "fashionai":
            images = [row_image(source) for source in images]
        positions = list(range(start, start + len(images)))
        parts.append(Part(task, positions, images, prepared.paths, task_runs))
        start += len(images)
    return parts


def write_answers(
    plan: Sequence[Part],
    out: Path,
    contexts: list[Any],
    *,
    crops: int,
    batch_size: int,
    progress: Callable[[int], None] = lambda done: None,
) -> int:
    """Predict every part and write the family's prediction file; returns its number of rows."""
    rows: list[Any] = [None] * sum(len(part.positions) for part in plan)
    for part in plan:
        probabilities = predict_images(
            part.paths,
            part.task,
            part.runs,
            contexts,
            crops=crops,
            batch_size=batch_size,
            progress=progress,
        )
        for position, image, values in zip(part.positions, part.images, probabilities):
            rows[position] = PredictedRow(image, part.task, values)
    if plan[0].task.family == "fashionai":
        write_fashionai(out, rows)
    else:
        probabilities = np.stack([row.probabilities for row in rows])
        write_table(out, [row.image for row in rows], plan[0].task, probabilities)
    return len(rows)


def _assign_runs(tasks: Sequence[Task], runs: Sequence[RunFolder]) -> dict[Task, list[RunFolder]]:
    """The runs of every task: those that are given, or the best finished one."""
    if not runs:
        return best_finished_runs(tasks)
    assigned: dict[Task, list[RunFolder]] = {task: [] for task in tasks}
    for run in runs:
        trained = run.read_task()
        if trained not in assigned:
            raise RunError(
                f"{run}: was trained for {trained.name}, and no rows of it are to be predicted"
            )
        run.check_usable()
        assigned[trained].append(run)
    without = [task.name for task in tasks if not assigned[task]]
    if without:
        raise RunError(
            f"no --run for {', '.join(without)}", "Name one for each task, or choose with --task"
        )
    return assigned
