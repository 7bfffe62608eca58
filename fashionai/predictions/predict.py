"""Image files through one or more runs to probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fashionai.engines.choice import open_fastest
from fashionai.engines.opening import open_engine
from fashionai.engines.protocol import Engine
from fashionai.engines.registry import AUTO
from fashionai.errors import ConfigError, RunError, TrainingError
from fashionai.models.forward import mean_over_views
from fashionai.models.zoo import first_line
from fashionai.pipeline.augment import EvaluationTransform
from fashionai.pipeline.crop_counts import CROP_COUNTS
from fashionai.pipeline.decode import ImageFile
from fashionai.pipeline.loader import Loader
from fashionai.runs import Run
from fashionai.runtime import import_mxnet
from fashionai.tasks import Task

mx = import_mxnet()


class Question(NamedTuple):
    """Image files of which one task is asked, and the runs that answer, to be averaged."""

    task: Task
    paths: Sequence[ImageFile]
    runs: Sequence[Run]


def predict(
    questions: Sequence[Question],
    contexts: list[Any],
    *,
    crops: int = 10,
    batch_size: int = 16,
    engine: str = AUTO,
    progress: Callable[[int], None] = lambda done: None,
) -> list[np.ndarray]:
    """Probabilities ``(N, C) float64`` for every question, averaged over crops and runs.

    A run computes each image once, whatever number of its tasks is asked of it.
    ``crops`` is 1, 5 or 10 views an image, ``batch_size`` counts images on each
    device, ``engine`` is one of ENGINES or auto, the fastest exact one, and
    ``progress`` is called with the number of images done since the last call.
    Raises RunError when a run has not learnt a question's task, DataError for an
    image that cannot be decoded, errors of open_engine.
    """
    if crops not in CROP_COUNTS:
        raise ConfigError(f"crops: found {crops}, expected one of {CROP_COUNTS}")
    for question in questions:
        for run in question.runs:
            check_task(run, question.task)
    answers = [np.zeros((len(q.paths), len(q.task.classes))) for q in questions]
    for run in runs_of(questions):
        mine = [at for at, question in enumerate(questions) if run in question.runs]
        places = {path: i for i, path in enumerate(images_of(run, questions))}
        if engine == AUTO:
            opened = open_fastest(run, contexts, crops * len(places))
        else:
            opened = open_engine(run, contexts, engine)
        probabilities = predict_with_engine(
            opened,
            run,
            list(places),
            crops=crops,
            batch_size=batch_size * len(contexts),
            progress=progress,
        )
        for at in mine:
            rows = [places[path] for path in questions[at].paths]
            answers[at] += probabilities[rows, _columns(run, questions[at].task)]
    return [answer / len(q.runs) for answer, q in zip(answers, questions)]


def predict_images(
    paths: Sequence[ImageFile], runs: Sequence[Run], contexts: list[Any], **options: Any
) -> dict[Task, np.ndarray]:
    """Probabilities ``(N, C) float64`` of every task that the runs have learnt; see predict."""
    learnt = dict.fromkeys(task for run in runs for task in run.tasks)
    questions = [
        Question(task, paths, [run for run in runs if task in run.tasks]) for task in learnt
    ]
    return dict(zip(learnt, predict(questions, contexts, **options)))


def runs_of(questions: Sequence[Question]) -> list[Run]:
    """Every run that answers one of the questions, once."""
    return list(dict.fromkeys(run for question in questions for run in question.runs))


def images_of(run: Run, questions: Sequence[Question]) -> list[ImageFile]:
    """The images that a run has to compute, each once."""
    return list(dict.fromkeys(path for q in questions if run in q.runs for path in q.paths))


def check_task(run: Run, task: Task) -> None:
    """RunError unless the run has weights and has learnt that task with its classes."""
    run.check_usable()
    learnt = run.tasks
    if task.classes in [each.classes for each in learnt]:
        return
    names = ", ".join(each.name for each in learnt)
    for each in learnt:
        if each.name == task.name:
            then, now = (", ".join(one.classes) for one in (each, task))
            raise RunError(
                f"{run}: was trained on other classes of {task.name} ({then}), asked for ({now})",
                "Train again, or prepare the task as it was",
            )
    raise RunError(f"{run}: was trained for {names}, expected {task.name}")


def _columns(run: Run, task: Task) -> slice:
    """Where the task's probabilities are: its own name, else the classes decide."""
    learnt = run.tasks
    same = [at for at, each in enumerate(learnt) if each.classes == task.classes]
    named = [at for at in same if learnt[at].name == task.name]
    return run.columns[(named or same)[0]]


def predict_with_engine(
    engine: Engine,
    run: Run,
    paths: Sequence[ImageFile],
    *,
    crops: int,
    batch_size: int,
    progress: Callable[[int], None] = lambda done: None,
) -> np.ndarray:
    """Probabilities ``(N, C) float64`` of all columns of a run, the mean over crops.

    ``batch_size`` counts images on all devices together. Raises TrainingError for a
    probability that is not a number, and where MXNet stops.
    """
    data = run.config.data
    # A batch is filled up with black images: no more of them than are needed.
    batch_size = min(batch_size, len(paths))
    loader = Loader(paths, EvaluationTransform(data, crops), batch_size, workers=data.workers)
    batches = (batch.images for batch in loader.batches(np.arange(len(paths))))
    results = []
    try:
        for answers in mean_over_views(engine.begin, batches, batch_size):
            results.append(answers)
            progress(len(answers))
    except mx.base.MXNetError as error:
        raise TrainingError(
            f"{run}: MXNet stopped: {first_line(error)}", "A smaller --batch-size needs less memory"
        ) from error
    probabilities = np.concatenate(results)
    if not np.isfinite(probabilities).all():
        row = int(np.argmin(np.isfinite(probabilities).all(axis=1)))
        raise TrainingError(
            f"{run}: its network gives {paths[row]} a probability that is not a number",
            "The weights are damaged or the training diverged",
        )
    return probabilities
