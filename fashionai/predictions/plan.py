"""Prediction files from plans: which images of which task go through which runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

from fashionai.datasets.prepared.samples import read_samples
from fashionai.datasets.questions import read_images_to_predict
from fashionai.datasets.readers.reader import reader_of, readers
from fashionai.errors import DataError, RunError
from fashionai.predictions.formats import (
    TABLE,
    Format,
    PredictedRow,
    check_expressible,
    format_of,
    image_names,
    source_names,
    write_predictions,
)
from fashionai.predictions.predict import Question, predict
from fashionai.predictions.run_choice import Candidates
from fashionai.runs import Run, check_same_classes
from fashionai.tasks import Task


class Part(NamedTuple):
    """The rows of one task: what is asked, their positions in the prediction file, their names."""

    question: Question
    positions: list[int]
    images: list[str]


class Plan(NamedTuple):
    """A prediction file to be: its format, its rows by task, and the threshold of its answers."""

    form: Format
    parts: list[Part]
    threshold: Optional[float]


def question_file(data: Path, tasks: Sequence[Task]) -> Path:
    """Where the competition of these tasks puts its question file below ``data``.

    It is that of the first family when tasks of several families, or none, are at hand.
    Raises RunError for tasks without a competition.
    """
    families = {task.family for task in tasks}
    kind = (reader_of(tasks[0]) if len(families) == 1 else next(readers())).questions
    if kind is None:
        raise RunError(
            f"{tasks[0].name} has no question file",
            "Give --questions a folder, list or CSV of images, or --split",
        )
    file = data / kind.place
    if not file.is_file():
        raise DataError(
            f"{file}: no such question file",
            "Unpack the test archive so that it exists, or name it with --questions or --data",
        )
    return file


def plan_questions(
    questions: Path,
    data: Path,
    tasks: Sequence[Task],
    candidates: Candidates,
    *,
    path_column: Optional[str] = None,
    as_table: bool = False,
    threshold: Optional[float] = None,
) -> Plan:
    """The rows that read_images_to_predict finds, of the ``tasks`` when given.

    Samples that name no task ask for ``tasks``, else for those of the runs. Raises RunError, before
    anything is computed, for a task without a run and for a run that no task
    takes; errors of check_expressible.
    """
    asked = read_images_to_predict(questions, data, path_column)
    named = list(dict.fromkeys(row.task for row in asked if row.task))
    if named:
        absent = [task.name for task in tasks if task not in named]
        if absent:
            raise RunError(f"{questions}: has no rows of {', '.join(absent)}")
        chosen = [task for task in named if not tasks or task in tasks]
        pairs = [(row, row.task) for row in asked if row.task in chosen]
    else:
        chosen = _tasks_of(tasks, candidates)
        pairs = [(row, task) for task in chosen for row in asked]
    form = _form(chosen, as_table, threshold)
    parts = []
    for task, task_runs in candidates.by_task(chosen).items():
        rows = [(at, row) for at, (row, row_task) in enumerate(pairs) if row_task == task]
        images = image_names(form, task, [row.image for _, row in rows])
        question = Question(task, [row.path for _, row in rows], task_runs)
        parts.append(Part(question, [at for at, _ in rows], images))
    return Plan(form, parts, threshold)


def plan_split(
    split: str,
    tasks: Sequence[Task],
    candidates: Candidates,
    *,
    as_table: bool = False,
    threshold: Optional[float] = None,
) -> Plan:
    """The rows of a split of the runs' prepared folder, those of a held-out background too.

    The tasks are those of the named runs where none are given. Raises RunError when
    the runs of a task were trained on different rows; errors of check_expressible.
    """
    chosen = _tasks_of(tasks, candidates)
    form = _form(chosen, as_table, threshold)
    parts = []
    start = 0
    for task, task_runs in candidates.by_task(chosen).items():
        if split != "test":
            _check_same_rows(task_runs)
        rows = read_samples(task_runs[0].config, split, [task.name], background=True)
        images = source_names(form, task, rows.sources)
        positions = list(range(start, start + len(images)))
        parts.append(Part(Question(task, rows.paths, task_runs), positions, images))
        start += len(images)
    return Plan(form, parts, threshold)


def write_answers(plan: Plan, out: Path, contexts: list[Any], **options: Any) -> int:
    """Predict every part and write the prediction file; returns its number of rows.

    ``options`` are those of fashionai.predictions.predict.predict.
    """
    answers = predict([part.question for part in plan.parts], contexts, **options)
    rows: list[Any] = [None] * sum(len(part.positions) for part in plan.parts)
    for part, probabilities in zip(plan.parts, answers):
        for position, image, values in zip(part.positions, part.images, probabilities):
            rows[position] = PredictedRow(image, part.question.task, values)
    write_predictions(out, rows, plan.form, plan.threshold)
    return len(rows)


def _tasks_of(tasks: Sequence[Task], candidates: Candidates) -> list[Task]:
    """The given tasks, else those that the named runs have learnt, else the only learnt one."""
    chosen = list(tasks) or (candidates.tasks if candidates.named else [])
    check_same_classes(chosen)
    if chosen:
        return chosen
    learnt = candidates.tasks
    if len(learnt) != 1:
        names = ", ".join(dict.fromkeys(task.short_name for task in learnt))
        found = f"there are runs of {names}" if learnt else "there are no runs"
        raise RunError(f"which task is to be predicted: {found}", "Name a --task or a --run")
    return learnt


def _form(tasks: Sequence[Task], as_table: bool, threshold: Optional[float]) -> Format:
    if len({task.family for task in tasks}) > 1:
        raise RunError("tasks of different data sets do not go into one prediction file")
    form = TABLE if as_table else format_of(tasks[0])
    check_expressible(form, tasks, threshold)
    return form


def _check_same_rows(runs: Sequence[Run]) -> None:
    """RunError unless the runs split the rows alike: else one would answer what it has seen."""
    data = {run: run.config.data for run in runs}
    first = runs[0]
    for run in runs[1:]:
        for key in ("folder", "folds_file", "fold"):
            if getattr(data[run], key) != getattr(data[first], key):
                raise RunError(
                    f"{first} and {run} were trained on different rows (data.{key})",
                    "Predict the test split, or each with its own rows",
                )
