"""Runs that are read: their configuration, tasks, scores and weights."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Optional, Union

from fashionai.config import Config, differing_keys, load_config
from fashionai.errors import FashionAIError, RunError, closest, counted
from fashionai.families import packaged_config_of
from fashionai.files.default_folders import CONFIGS_FOLDER, RUNS_FOLDER
from fashionai.files.paths import PathLike
from fashionai.runs.folders import (
    FOLDS_FILE,
    RunFolder,
    find_folders_of,
    find_folds,
    read_metrics,
)
from fashionai.runs.recorded_weights import check_recorded
from fashionai.tasks import Task, columns_of, tasks_from_json

log = logging.getLogger(__name__)

# How a soup takes runs: those that do not lower its validation score, or all of them.
GREEDY, UNIFORM = "greedy", "uniform"
# What the messages of DivergedError have in common.
DIVERGED = re.compile(r"loss is -?(nan|inf) (at|after) epoch ")


@dataclass(frozen=True)
class Run:
    """One run. Each of its files is read once, when it is first needed.

    A file that changes later has no effect. Two runs are equal when their folders and crops are.

    Args:
        folder: Folder of the run. ``Run.open`` also checks that the run can predict.
        crop: Side in pixels of the crops to predict with, where it is not that of training.

    Example:
        >>> run = fashionai.Run.open("runs/skirt")
        >>> run.tasks[0].classes, run.config.data.crop, run.metrics["best"]["map"]
    """

    folder: RunFolder
    crop: Optional[int] = None

    def __post_init__(self) -> None:
        """Refuse a path, which Run.open takes."""
        if not isinstance(self.folder, RunFolder):
            raise TypeError(f"folder: found {self.folder!r}, expected a RunFolder; see Run.open")

    def __repr__(self) -> str:
        return f"Run('{self}')"

    @classmethod
    def open(cls, path: PathLike) -> Run:
        """The run in a folder, ready to predict. A warning tells that it is unfinished.

        Args:
            path: Folder of the run.

        Returns:
            The run, with its configuration, tasks and metrics read.

        Raises:
            RunError: The folder holds no run, or the run has no weights yet.
            ConfigError: A damaged configuration.
            DataError: Damaged descriptions of the tasks.

        Example:
            >>> run = fashionai.Run.open("runs/skirt")
        """
        run = cls(RunFolder(path))
        run.check_usable()
        if not run.is_finished:
            log.warning(
                "%s: unfinished, %s epochs; the weights of %s are used",
                run,
                run.epochs_done,
                run.weights_origin,
            )
        return run

    def __str__(self) -> str:
        return str(self.folder)

    def at_crop(self, crop: Optional[int]) -> Run:
        """The run for crops of another side in pixels; with None the run as it is."""
        return self if crop is None else replace(self, crop=crop)

    @property
    def path(self) -> Path:
        """The folder's path."""
        return self.folder.path

    @cached_property
    def config(self) -> Config:
        """The resolved configuration; RunError when the folder holds no run."""
        config = self.config_with(())
        return config if self.crop is None else config.with_crop(self.crop)

    def config_with(self, overrides: Sequence[str]) -> Config:
        """The configuration with ``key=value`` overrides applied; errors as for load_config."""
        self._check_is_run()
        known = self.tasks if self.folder.classes_file.is_file() else ()
        config = load_config(self.folder.config_file, overrides, known)
        folds_file = self.path.parent / FOLDS_FILE
        if config.data.fold is None or not folds_file.is_file():
            return config
        # The cross-validation may have been moved: use the folds file that lies beside its runs.
        return config.changed({"data.folds_file": str(folds_file)})

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks with their classes, as they were when the run was trained."""
        self._check_is_run()
        return tuple(tasks_from_json(self.folder.classes_file))

    @property
    def columns(self) -> list[slice]:
        """The columns of each task's classes in the network's output."""
        return columns_of(self.tasks)

    @cached_property
    def metrics(self) -> Mapping[str, Any]:
        """The content of metrics.json; empty when the run has not finished an epoch."""
        return read_metrics(self.folder)

    @property
    def weights_file(self) -> Path:
        """The file of weights to predict with: those of the best epoch, plain or averaged."""
        return self.path / str(self.metrics.get("weights", self.folder.best_parameters.name))

    @property
    def is_finished(self) -> bool:
        """Whether all epochs have been trained, or the run stopped early."""
        return bool(self.metrics.get("finished"))

    @property
    def has_diverged(self) -> bool:
        """Whether its training has ended with a loss that is not finite, as its log tells."""
        try:
            lines = self.folder.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return False
        return bool(lines) and DIVERGED.search(lines[-1]) is not None

    @property
    def epochs_done(self) -> str:
        """How many epochs have been trained: ``40``, or ``10 of 40`` of an unfinished run.

        For an average of runs it is their number: ``3 runs``.
        """
        if self.averaged_runs:
            return counted(self.averaged_runs, "run")
        done = self.metrics.get("epochs", 0)
        return f"{done}" if self.is_finished else f"{done} of {self._all_epochs}"

    @property
    def averaged_runs(self) -> int:
        """The number of runs whose weights were averaged into this one; 0 for one of training."""
        return int(self.metrics.get("averaged_runs") or 0)

    @property
    def averaging(self) -> str:
        """How the averaged runs were taken, GREEDY or UNIFORM; empty for a run of training."""
        return str(self.metrics.get("soup", {}).get("method", ""))

    @property
    def weights_origin(self) -> str:
        """Where its weights are from: ``epoch 7``, or ``the mean of 3 runs``."""
        if self.averaged_runs:
            return f"the mean of {counted(self.averaged_runs, 'run')}"
        return f"epoch {self.metrics.get('best_epoch', '?')}"

    @property
    def _all_epochs(self) -> str:
        """The number of epochs of the configuration; ``?`` where that cannot be read."""
        try:
            return str(self.config.epochs)
        except FashionAIError:
            return "?"

    def read_metrics_and_tasks(self) -> None:
        """Read and keep what is there of both; RunError or DataError for damaged files."""
        _ = self.metrics
        if self.folder.classes_file.is_file():
            _ = self.tasks

    def check_usable(self) -> None:
        """Read the run; RunError unless it has weights to predict with."""
        self._check_is_run()
        _ = self.config, self.tasks
        if not self.weights_file.is_file():
            if self.metrics and not self.folder.states_file.is_file():
                config = shlex.quote(str(self.folder.config_file))
                raise RunError(
                    f"{self}: its weights were removed",
                    f"Train it anew: fashionai train --config {config}",
                )
            raise RunError(
                f"{self}: no {self.weights_file.name} yet",
                f"Train it first: fashionai train --run {shlex.quote(str(self))} --resume",
            )

    def check_weights(self) -> str:
        """The SHA-256 of the weights that predict; RunError as for check_hash."""
        return self.check_hash(self.weights_file)

    def check_hash(self, file: Path) -> str:
        """The SHA-256 of a file of the run's weights; errors as for check_recorded."""
        return check_recorded(file, self.metrics, lambda: read_metrics(self.folder))

    def check_same_config(self, config: Config) -> None:
        """Raise RunError unless the run has this configuration; threads and logs may differ."""
        different = deciding_differences(self.config, config)
        if different:
            raise RunError(
                f"{self}: was begun with another configuration ({'; '.join(different)})",
                self._hint_at_more_epochs(config, different)
                or "Resume without overrides, or give --overwrite or another --run",
            )

    def _hint_at_more_epochs(self, config: Config, different: Sequence[str]) -> str:
        """The command that trains more epochs, if only their number differs; else an empty text.

        A run cannot be extended by resuming it: cosine and one-cycle schedules choose the learning
        rate of each epoch by the number of all epochs, so the rates of the finished epochs would
        be wrong. A new run starts from the weights instead.
        """
        more = config.epochs - self.config.epochs
        if len(different) > 1 or more <= 0 or not self.weights_file.is_file():
            return ""
        weights = f"model.pretrained={self.weights_file}"
        return (
            "To train its weights for more epochs, begin another run: fashionai train --config "
            f"{shlex.quote(str(self.folder.config_file))} --run {shlex.quote(f'{self}-more')} "
            f"epochs={more} {shlex.quote(weights)}"
        )

    def _check_is_run(self) -> None:
        if self.folder.has_begun:
            return
        if self.path.exists():
            problem = f"{self}: not a run (no {self.folder.config_file.name} in it)"
        else:
            problem = f"{self}: does not exist"
        inside = find_runs(self.path)
        if inside:
            raise RunError(problem, f"Name one of its runs, such as {inside[0]}")
        meant = closest(self.path.name, (run.path.name for run in find_runs(self.path.parent)))
        raise RunError(problem, f"Did you mean '{self.path.with_name(meant)}'?" if meant else "")


def deciding_differences(begun: Config, wanted: Config) -> list[str]:
    """The differing keys that change the result of a run: all except data.workers and log.

    Where ``wanted`` does not set the engine, or how the input is resized and normalised, it gets
    these of ``begun``.
    """
    filled = wanted.with_engine_of(begun).with_input_of(begun)
    others = ("data.workers:", "log:")
    return [line for line in differing_keys(begun, filled) if not line.startswith(others)]


def open_runs(runs: Sequence[Union[PathLike, Run]]) -> list[Run]:
    """Open the runs in these folders; the folder of a cross-validation stands for all its folds.

    A run that is open already is taken as it is, and one that is named twice counts once.
    Raises RunError for a fold that is not finished, and errors of Run.open.
    """
    found: list[Union[RunFolder, Run]] = []
    for each in runs:
        if isinstance(each, Run):
            found.append(each)
            continue
        folds = find_folds(Path(each))
        for fold in folds:
            if not Run(fold).is_finished:
                place = shlex.quote(str(each))
                raise RunError(
                    f"{fold}: this fold is not finished",
                    f"Resume with: fashionai cross-validate --run {place} --resume",
                )
        found += folds or [RunFolder(each)]
    distinct = {each.path.resolve(): each for each in found}
    return [each if isinstance(each, Run) else Run.open(each.path) for each in distinct.values()]


def find_runs(folder: Path = RUNS_FOLDER) -> list[Run]:
    """All runs directly below a folder, by name; their files are read when they are needed."""
    return [Run(RunFolder(path)) for path in find_folders_of("*/config.yaml", folder)]


def find_sound_runs(folder: Path = RUNS_FOLDER) -> list[Run]:
    """The runs of find_runs whose metrics and classes can be read; a warning names each other."""
    sound = []
    for run in find_runs(folder):
        try:
            run.read_metrics_and_tasks()
        except FashionAIError as error:
            log.warning("left out: %s", error)
        else:
            sound.append(run)
    return sound


def learnt_tasks(runs: Sequence[Run]) -> list[Task]:
    """The tasks that any of these runs has learnt, with their classes at that time."""
    begun = [run for run in runs if run.folder.classes_file.is_file()]
    return list(dict.fromkeys(task for run in begun for task in run.tasks))


def hint_at_resuming(unfinished: Sequence[Run]) -> str:
    """How the first of these runs is finished; empty without any."""
    if not unfinished:
        return ""
    return f"Finish it with fashionai train --run {shlex.quote(str(unfinished[0]))} --resume"


def check_consistent_classes(tasks: Sequence[Task]) -> None:
    """Raise RunError for a task that two runs have learnt with different classes."""
    names = [task.name for task in dict.fromkeys(tasks)]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise RunError(
            f"{doubled[0]}: the runs were trained with different classes", "Name one --run"
        )


def _config_name(task: Task) -> str:
    """What --config takes for a task: the packaged configuration, or the file that init writes."""
    own = CONFIGS_FOLDER / f"{task.short_name}.yaml"
    return packaged_config_of(task) or shlex.quote(str(own))


def best_finished_runs(tasks: Sequence[Task], candidates: Sequence[Run]) -> dict[Task, list[Run]]:
    """For each task the finished candidate with the best validation mAP, in a list of one.

    RunError that names every task without one.
    """
    scores: dict[Task, dict[Run, float]] = {task: {} for task in tasks}
    unfinished: list[Run] = []
    for run in candidates:
        wanted = [task for task in learnt_tasks([run]) if task in scores]
        if wanted and not run.is_finished:
            unfinished.append(run)
            continue
        for task in wanted:
            scores[task][run] = run.metrics["tasks"].get(task.name, {}).get("map") or 0.0
    without = [task for task in tasks if not scores[task]]
    if without:
        started = f" (unfinished: {', '.join(map(str, unfinished))})" if unfinished else ""
        begun = [run for run in unfinished if without[0] in run.tasks]
        new = f"Train one with fashionai train --config {_config_name(without[0])}"
        raise RunError(
            f"{RUNS_FOLDER}: no finished run of {', '.join(task.name for task in without)}"
            f"{started}",
            f"{hint_at_resuming(begun) or new}, "
            "name one with --run, or choose other tasks with --task",
        )
    return {task: [max(found, key=found.__getitem__)] for task, found in scores.items()}
