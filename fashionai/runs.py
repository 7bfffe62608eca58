"""The folders of runs and cross-validations: their files, and how they are read and removed."""

from __future__ import annotations

import contextlib
import itertools
import re
import secrets
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fashionai.config import Config, differing_keys, load_config
from fashionai.errors import RunError, closest, shown_value
from fashionai.files.default_folders import RUNS_FOLDER
from fashionai.files.json_files import read_json
from fashionai.files.locks import LOCK_FILE, is_locked, locked
from fashionai.files.outputs import check_is_no_file
from fashionai.files.yaml_files import load_yaml
from fashionai.recorded_weights import check_recorded
from fashionai.tasks import Task, columns_of, tasks_from_json

# The settings of a cross-validation. The folder with this file also has one run per fold.
CROSS_VALIDATION_FILE = "cross_validation.yaml"
# A larger number of folds is an error: it may come from a damaged file.
MOST_FOLDS = 1000
FOLDS_FILE = "folds.csv"
BASE_CONFIG_FILE = "config.base.yaml"

# Files that are written before config.yaml or cross_validation.yaml, which mark a run or a
# cross-validation as begun.
WRITTEN_BEFORE_BEGINNING = (LOCK_FILE, "classes.json", BASE_CONFIG_FILE, FOLDS_FILE)
TEMPORARY = re.compile(r"\..*\.tmp")
# The suffix of a run's folder while it is deleted.
REMOVED_SUFFIX = ".removed"


class RunFolder:
    """The paths of the files of one run. No file is read, so the files need not exist yet.

    Args:
        path: Folder of the run, which need not exist yet.

    Example:
        >>> history = pd.read_csv(fashionai.RunFolder(Path("runs/skirt")).history_file)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_file = path / "config.yaml"
        self.classes_file = path / "classes.json"
        self.best_parameters = path / "best.params"
        self.best_averaged_parameters = path / "best_ema.params"
        self.last_parameters = path / "last.params"
        self.states_file = path / "last.states.npz"
        self.history_file = path / "history.csv"
        self.metrics_file = path / "metrics.json"
        self.log_file = path / "train.log"
        self.int8_symbol = path / "int8-symbol.json"
        self.int8_parameters = path / "int8-0000.params"
        self.int8_report = path / "int8.json"

    def __str__(self) -> str:
        return str(self.path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunFolder) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    @property
    def has_begun(self) -> bool:
        """Whether a training has written its configuration here."""
        return self.config_file.is_file()


@dataclass(frozen=True)
class Run:
    """One run. Each of its files is read once, when it is first needed.

    A file that changes later has no effect. Two runs are equal when their folders are equal.

    Args:
        folder: Folder of the run. ``Run.open`` also checks that the run can predict.

    Example:
        >>> run = fashionai.Run.open(Path("runs/skirt"))
        >>> run.tasks[0].classes, run.config.data.crop, run.metrics["best"]["map"]
    """

    folder: RunFolder

    def __repr__(self) -> str:
        return f"Run('{self}')"

    @classmethod
    def open(cls, path: Path) -> Run:
        """The run in a folder, ready to predict.

        Args:
            path: Folder of the run.

        Returns:
            The run, with its configuration, tasks and metrics read.

        Raises:
            RunError: The folder holds no run, or the run has no weights yet.
            ConfigError: A damaged configuration.
            DataError: Damaged descriptions of the tasks.

        Example:
            >>> run = fashionai.Run.open(Path("runs/skirt"))
        """
        run = cls(RunFolder(path))
        run.check_usable()
        return run

    def __str__(self) -> str:
        return str(self.folder)

    @property
    def path(self) -> Path:
        """The folder's path."""
        return self.folder.path

    @cached_property
    def config(self) -> Config:
        """The resolved configuration; RunError when the folder holds no run."""
        return self.config_with(())

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

    def check_usable(self) -> None:
        """Read the run; RunError unless it has weights to predict with."""
        self._check_is_run()
        _ = self.config, self.tasks
        if not self.weights_file.is_file():
            raise RunError(
                f"{self}: no {self.weights_file.name} yet",
                f"Train it first: fashionai train --run {self} --resume",
            )

    def check_weights(self) -> str:
        """The SHA-256 of the weights that predict; RunError as for check_hash."""
        return self.check_hash(self.weights_file)

    def check_hash(self, file: Path) -> str:
        """The SHA-256 of a file of the run's weights; errors as for check_recorded."""
        return check_recorded(file, self.metrics, lambda: read_metrics(self.folder))

    def check_same_config(self, config: Config) -> None:
        """Raise RunError unless the run has this configuration; decoding threads may differ."""
        different = deciding_differences(self.config, config)
        if different:
            raise RunError(
                f"{self}: was begun with another configuration ({'; '.join(different)})",
                self._hint_at_more_epochs(config, different)
                or "Resume without overrides, or start anew: with --overwrite, another --run, or "
                f"after removing {self}",
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


def read_metrics(folder: RunFolder) -> dict[str, Any]:
    """The content of metrics.json, see Run.metrics."""
    file = folder.metrics_file
    try:
        metrics = read_json(file)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise RunError(f"{file}: not valid JSON: {error}") from None
    if not _is_metrics(metrics):
        raise RunError(f"{file}: does not hold a run's metrics")
    return dict(metrics)


def _is_metrics(value: Any) -> bool:
    """Whether a JSON value has the types of metrics.json; keys may be missing but for tasks."""
    if not isinstance(value, dict) or not isinstance(value.get("tasks"), dict):
        return False
    scores = [value.get("best", {}), *value["tasks"].values()]
    if not all(isinstance(each, dict) for each in scores):
        return False
    numbers = [value.get("epochs", 0), *(number for each in scores for number in each.values())]
    weights = value.get("weights", "")
    return (
        all(number is None or type(number) in (int, float) for number in numbers)
        and isinstance(value.get("finished", False), bool)
        and isinstance(weights, str)
        and Path(weights).name == weights
    )


def deciding_differences(begun: Config, wanted: Config) -> list[str]:
    """The differing keys that change the result of a run: all except data.workers.

    Where ``wanted`` does not set the input's mean and deviation, it gets those of ``begun``.
    """
    filled = wanted.with_input(begun.data.mean, begun.data.std)
    return [line for line in differing_keys(begun, filled) if not line.startswith("data.workers:")]


def open_runs(paths: Sequence[Path]) -> list[Run]:
    """Open the runs in these folders; the folder of a cross-validation stands for all its folds.

    A run that is named twice counts once. Raises RunError for a fold that is not
    finished, and errors of Run.open.
    """
    folders: list[RunFolder] = []
    for path in paths:
        folds = find_folds(path)
        for fold in folds:
            if not Run(fold).is_finished:
                raise RunError(
                    f"{fold}: this fold is not finished",
                    f"Go on with: fashionai cross-validate --run {path} --resume",
                )
        folders += folds or [RunFolder(path)]
    distinct = {folder.path.resolve(): folder for folder in folders}
    return [Run.open(folder.path) for folder in distinct.values()]


def find_folds(path: Path) -> list[RunFolder]:
    """The run folders of a cross-validation, begun or not; an empty list for other folders."""
    file = path / CROSS_VALIDATION_FILE
    if not file.is_file():
        return []
    folds = load_yaml(file).get("folds")
    if not isinstance(folds, int) or not 2 <= folds <= MOST_FOLDS:
        raise RunError(
            f"{file}: folds is {shown_value(folds)}, expected a number from 2 to {MOST_FOLDS}"
        )
    return [RunFolder(path / f"fold-{number}") for number in range(1, folds + 1)]


@contextlib.contextmanager
def locked_run(run: RunFolder) -> Iterator[None]:
    """Hold the lock of a run while its files change; RunError when another process holds it."""
    with locked(run.path / LOCK_FILE, RunError(f"{run}: is being trained by another process")):
        yield


def create_run(wanted: Path) -> RunFolder:
    """Make a new run folder, or use one in which a process was killed before its run began.

    Args:
        wanted: Path of the folder. If it is taken, ``wanted-2`` is made instead, or
            ``wanted-3`` and so on.

    Returns:
        The folder.

    Raises:
        DataError: The path is that of a file.
        OSError: The folder cannot be made.

    Example:
        >>> folder = fashionai.create_run(Path("runs/skirt"))
    """
    check_is_no_file(wanted)
    wanted.parent.mkdir(parents=True, exist_ok=True)
    _finish_removals(wanted.parent)
    for number in itertools.count(1):
        candidate = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        try:
            candidate.mkdir()
        except FileExistsError:
            if not _is_free(candidate):
                continue
        return RunFolder(candidate)
    raise AssertionError("there is always a next number")


def remove_run(path: Path) -> None:
    """Delete the folder of a run or of a cross-validation, also if it has not begun yet.

    Raises RunError when the folder holds something else, and when another process trains
    the run or a fold of it.
    """
    if not path.exists():
        return
    if not path.is_dir() or not (_holds_run(path) or _has_not_begun(path)):
        raise RunError(f"{path}: not a run (no config.yaml), so it is not overwritten")
    with contextlib.ExitStack() as stack:
        for folder in (path, *sorted(file.parent for file in path.glob("*/config.yaml"))):
            stack.enter_context(locked_run(RunFolder(folder)))
        # Renamed first: if this process is killed, no incomplete run is left under the name.
        removed = path.with_name(f".{path.name}.{secrets.token_hex(8)}{REMOVED_SUFFIX}")
        path.rename(removed)
    shutil.rmtree(removed)


def _holds_run(path: Path) -> bool:
    return any((path / name).is_file() for name in ("config.yaml", CROSS_VALIDATION_FILE))


def _has_not_begun(path: Path) -> bool:
    """Whether a folder is empty or holds only files that are written before a run begins."""
    names = (entry.name for entry in path.iterdir())
    return all(name in WRITTEN_BEFORE_BEGINNING or TEMPORARY.fullmatch(name) for name in names)


def _is_free(path: Path) -> bool:
    """Whether a folder can be used for a new run: none has begun in it, and it is not locked."""
    return path.is_dir() and _has_not_begun(path) and not is_locked(path / LOCK_FILE)


def _finish_removals(folder: Path) -> None:
    """Delete the folders of runs whose removal was interrupted."""
    for removed in folder.glob(f".*{REMOVED_SUFFIX}"):
        shutil.rmtree(removed, ignore_errors=True)


def find_runs(folder: Path = RUNS_FOLDER) -> list[Run]:
    """All runs directly below a folder, by name; their files are read when they are needed."""
    return [Run(RunFolder(file.parent)) for file in sorted(folder.glob("*/config.yaml"))]


def learnt_tasks(runs: Sequence[Run]) -> list[Task]:
    """The tasks that any of these runs has learnt, with their classes at that time."""
    begun = [run for run in runs if run.folder.classes_file.is_file()]
    return list(dict.fromkeys(task for run in begun for task in run.tasks))


def check_same_classes(tasks: Sequence[Task]) -> None:
    """Raise RunError for a task that two runs have learnt with different classes."""
    names = [task.name for task in dict.fromkeys(tasks)]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise RunError(f"{doubled[0]}: the runs know it with different classes", "Name one --run")


def best_finished_runs(tasks: Sequence[Task], candidates: Sequence[Run]) -> dict[Task, list[Run]]:
    """For each task the finished candidate with the best validation mAP, in a list of one.

    RunError that names every task without one.
    """
    scores: dict[Task, dict[Run, float]] = {task: {} for task in tasks}
    unfinished = []
    for run in candidates:
        wanted = [task for task in learnt_tasks([run]) if task in scores]
        if wanted and not run.is_finished:
            unfinished.append(str(run))
            continue
        for task in wanted:
            scores[task][run] = run.metrics["tasks"].get(task.name, {}).get("map") or 0.0
    without = [task for task in tasks if not scores[task]]
    if without:
        started = f" (unfinished: {', '.join(unfinished)})" if unfinished else ""
        raise RunError(
            f"{RUNS_FOLDER}: no finished run of {', '.join(task.name for task in without)}"
            f"{started}",
            f"Train one with fashionai train --config configs/{without[0].short_name}.yaml, "
            "name one with --run, or choose other tasks with --task",
        )
    return {task: [max(found, key=found.__getitem__)] for task, found in scores.items()}
