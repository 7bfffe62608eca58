"""The plan of a prediction file: its rows, its format, and the runs that predict each task."""

from __future__ import annotations

import itertools
import shlex
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np

from fashionai.datasets.prepared.samples import read_samples, warn_of_changed_data
from fashionai.datasets.questions import read_images_to_predict
from fashionai.datasets.readers.reader import reader_of, readers
from fashionai.datasets.records import ImageList, ImageToPredict
from fashionai.errors import ConfigError, DataError, RunError
from fashionai.families import expand_tasks
from fashionai.files.default_folders import PREPARED_FOLDER
from fashionai.files.outputs import check_output
from fashionai.pipeline.decode import ImageFile
from fashionai.predictions.formats import (
    PREDICTIONS,
    TABLE,
    Format,
    check_expressible,
    format_of,
    image_names,
    source_names,
)
from fashionai.predictions.in_parts import (
    check_images_in_parts,
)
from fashionai.predictions.parts import Parts
from fashionai.predictions.predict import Request, distinct_runs, images_of_run
from fashionai.predictions.run_choice import Candidates
from fashionai.predictions.scaling import read_calibration
from fashionai.predictions.soundness import LeaveOut, check_images
from fashionai.progress import ProgressBar
from fashionai.runs import Run, check_consistent_classes
from fashionai.tasks import Task, prepared_tasks


class TaskRows(NamedTuple):
    """The rows of one task: their images and runs, their positions in the file, their names."""

    request: Request
    positions: Sequence[int]
    names: Sequence[str]


class Plan(NamedTuple):
    """A prediction file before it is computed; ``threshold`` decides its predicted labels."""

    format: Format
    parts: list[TaskRows]
    threshold: Optional[float]

    @property
    def images(self) -> int:
        """The number of images to compute, counted once per run that computes them."""
        requests = self.requests
        runs = distinct_runs(requests)
        return sum(len(images_of_run(run, requests).images) for run in runs)

    @property
    def requests(self) -> list[Request]:
        """What the runs have to compute."""
        return [part.request for part in self.parts]

    @property
    def distinct_images(self) -> Sequence[ImageFile]:
        """The images of all rows, each once."""
        first, *others = [part.request.images for part in self.parts]
        if all(images is first for images in others):
            return first
        return list(dict.fromkeys(itertools.chain(first, *others)))

    def calibrated(self, crops: int) -> Plan:
        """The plan with each run's calibration for so many crops; errors of read_calibration."""
        found = {run: read_calibration(run, crops) for run in distinct_runs(self.requests)}
        parts = [p._replace(request=p.request._replace(calibrations=found)) for p in self.parts]
        return self._replace(parts=parts)


class WantedFile(NamedTuple):
    """A prediction file as a user wants it: the images, the tasks and the runs are in these places.

    The images are those of ``split`` of prepared folders, else those of ``questions``, else those
    of the competition's question file below ``data``. ``images`` is the folder that the paths in
    a list or CSV file are relative to. ``crop`` is the side in pixels of the crops, by default that
    of each run's training.
    """

    out: Path
    run_paths: Sequence[Path]
    task_names: Sequence[str]
    data: Path
    questions: Optional[Path] = None
    path_column: Optional[str] = None
    split: Optional[str] = None
    images: Optional[Path] = None
    as_table: bool = False
    threshold: Optional[float] = None
    crop: Optional[int] = None


def plan_file(
    wanted: WantedFile,
    *,
    overwrite: bool = False,
) -> Plan:
    """Plan a prediction file, and check what can be checked without opening images.

    Raises errors of check_output for the file to write, of plan_split and plan_questions.
    """
    questions = [] if wanted.questions is None else [wanted.questions]
    check_output("--out", wanted.out, PREDICTIONS, questions, overwrite)
    return plan_wanted(wanted, overwrite=overwrite)


def plan_wanted(wanted: WantedFile, *, overwrite: bool = False) -> Plan:
    """As plan_file, for an ``out`` that was checked already."""
    candidates = Candidates.open(wanted.run_paths, wanted.crop)
    tasks = _tasks_named(wanted.task_names, candidates)
    options: dict[str, Any] = {"as_table": wanted.as_table, "threshold": wanted.threshold}
    if wanted.split is not None:
        return plan_split(wanted.split, tasks, candidates, **options)
    file = wanted.questions
    if file is None:
        file = question_file(wanted.data, tasks or candidates.tasks)
        check_output("--out", wanted.out, PREDICTIONS, [file], overwrite)
    options.update(path_column=wanted.path_column, images_folder=wanted.images)
    return plan_questions(file, wanted.data, tasks, candidates, **options)


def _tasks_named(names: Sequence[str], candidates: Candidates) -> list[Task]:
    """The tasks of these names; those that are prepared are read only for other names."""
    try:
        return expand_tasks(names, candidates.tasks)
    except ConfigError:
        return expand_tasks(names, [*candidates.tasks, *prepared_tasks(PREPARED_FOLDER)])


def question_file(data: Path, tasks: Sequence[Task]) -> Path:
    """Where the competition of these tasks puts its question file below ``data``.

    It is that of the first family when the tasks are of several families or there are none.
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
    images_folder: Optional[Path] = None,
    as_table: bool = False,
    threshold: Optional[float] = None,
) -> Plan:
    """Plan the predictions for the images that read_images_to_predict finds.

    Images without a task are predicted for all ``tasks``, or for the tasks of the candidates
    when ``tasks`` is empty. Images with a task are predicted when ``tasks`` has it or is
    empty. Raises RunError for a task without a run and for a named run that is not used, and
    errors of check_expressible.
    """
    images = read_images_to_predict(questions, data, path_column, images_folder)
    rows = _rows_by_task(images, questions, tasks, candidates)
    file_format = _choose_format(list(rows), as_table, threshold)
    parts = []
    for task, runs in candidates.by_task(list(rows)).items():
        positions, own = rows[task]
        names = image_names(file_format, task, own.names)
        parts.append(TaskRows(Request(task, own, runs), positions, names))
    return Plan(file_format, parts, threshold)


def plan_split(
    split: str,
    tasks: Sequence[Task],
    candidates: Candidates,
    *,
    as_table: bool = False,
    threshold: Optional[float] = None,
) -> Plan:
    """Plan the predictions for a split of the runs' prepared folders.

    Images of a held-out background are among them. Without ``tasks`` they are those of the
    named runs. Logs a warning for each run whose folders have changed since it was trained.
    Raises RunError when the runs of a task were trained on different images, and
    errors of check_expressible.
    """
    chosen = _tasks_of(tasks, candidates)
    file_format = _choose_format(chosen, as_table, threshold)
    parts = []
    start = 0
    for task, runs in candidates.by_task(chosen).items():
        if split != "test":
            _check_same_training_images(runs, split)
        samples = read_samples(runs[0].config, split, [task.name], background=True)
        names = source_names(file_format, task, samples.sources)
        positions = range(start, start + len(names))
        parts.append(TaskRows(Request(task, samples.paths, runs), positions, names))
        start += len(names)
    for run in distinct_runs([part.request for part in parts]):
        warn_of_changed_data(run)
    return Plan(file_format, parts, threshold)


def without_bad_images(
    plan: Plan,
    progress: ProgressBar,
    leave_out: Optional[LeaveOut] = None,
    parts: Optional[Parts] = None,
) -> Plan:
    """Open all images of a plan; returns the plan of the sound ones, with the rows in order.

    Images of prepared folders need not be opened: prepare has done so. Errors, and ``leave_out``,
    as for check_images.
    """
    images = plan.distinct_images
    if parts is None:
        bad = check_images({str(image): image for image in images}, progress, leave_out)
    else:
        bad = check_images_in_parts(images, parts, progress, leave_out)
    if not bad:
        return plan
    kept = [_of_images(part, bad) for part in plan.parts]
    left = np.sort(np.concatenate([np.array(part.positions, np.int64) for part in kept]))
    if not len(left):
        raise DataError("no image is left to predict")
    parts_left = [
        part._replace(positions=np.searchsorted(left, np.array(part.positions, np.int64)).tolist())
        for part in kept
        if len(part.positions)
    ]
    return plan._replace(parts=parts_left)


def _of_images(part: TaskRows, bad: set[str]) -> TaskRows:
    """The rows of a part without those of bad images."""
    images = part.request.images
    kept = [row for row, image in enumerate(images) if str(image) not in bad]
    chosen = images.part(kept) if isinstance(images, ImageList) else [images[row] for row in kept]
    return TaskRows(
        part.request._replace(images=chosen),
        [part.positions[row] for row in kept],
        [part.names[row] for row in kept],
    )


def _rows_by_task(
    images: Sequence[ImageToPredict],
    questions: Path,
    tasks: Sequence[Task],
    candidates: Candidates,
) -> dict[Task, tuple[Sequence[int], ImageList]]:
    """The tasks to predict, each with the increasing positions and the images of its rows."""
    named = list(dict.fromkeys(image.task for image in images if image.task))
    if not named:
        every, count = ImageList(images), len(images)
        chosen = _tasks_of(tasks, candidates)
        return {task: (range(n * count, (n + 1) * count), every) for n, task in enumerate(chosen)}
    absent = [task.name for task in tasks if task not in named]
    if absent:
        raise RunError(f"{questions}: has no rows of {', '.join(absent)}")
    chosen = [task for task in named if not tasks or task in tasks]
    rows = [image for image in images if image.task in chosen]
    if len(chosen) == 1:
        return {chosen[0]: (range(len(rows)), ImageList(rows))}
    places: dict[Task, array[int]] = {task: array("q") for task in chosen}
    for at, image in enumerate(rows):
        if image.task is not None:
            places[image.task].append(at)
    return {task: (own, ImageList([rows[at] for at in own])) for task, own in places.items()}


def _tasks_of(tasks: Sequence[Task], candidates: Candidates) -> list[Task]:
    """The given tasks, else those that the named runs have learnt, else the only learnt one."""
    chosen = list(tasks) or (candidates.tasks if candidates.named else [])
    check_consistent_classes(chosen)
    if chosen:
        return chosen
    learnt = candidates.tasks
    if len(learnt) != 1:
        names = ", ".join(dict.fromkeys(task.short_name for task in learnt))
        found = f"there are runs of {names}" if learnt else "there are no runs"
        raise RunError(f"unclear which task to predict: {found}", "Give --task or --run")
    return learnt


def _choose_format(tasks: Sequence[Task], as_table: bool, threshold: Optional[float]) -> Format:
    if len({task.family for task in tasks}) > 1:
        raise RunError("tasks of different data sets cannot share a prediction file")
    file_format = TABLE if as_table else format_of(tasks[0])
    check_expressible(file_format, tasks, threshold)
    return file_format


def _same_place(one: Optional[str], other: Optional[str]) -> bool:
    """Whether two paths, or none, are one place, however they are written."""
    return one == other or (
        one is not None and other is not None and Path(one).resolve() == Path(other).resolve()
    )


def _check_same_training_images(runs: Sequence[Run], split: str) -> None:
    """RunError unless the runs were trained on the same images.

    Otherwise one of them would predict images that it was trained on.
    """
    first = runs[0]
    for run in runs[1:]:
        data, other = run.config.data, first.config.data
        same = {
            "folder": _same_place(data.folder, other.folder),
            "folds_file": _same_place(data.folds_file, other.folds_file),
            "fold": data.fold == other.fold,
        }
        for key, is_same in same.items():
            if not is_same:
                one = shlex.quote(str(first))
                raise RunError(
                    f"{first} and {run} were trained on different images (data.{key})",
                    f"Predict the test split, or one run: --run {one} --split {split}",
                )
