"""Run folders: what lies where, which are finished, how good they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fashionai.config import Config, differing_keys, load_config
from fashionai.default_folders import RUNS_FOLDER
from fashionai.errors import RunError, closest
from fashionai.tasks import Task, tasks_from_json
from fashionai.yaml_files import load_yaml

# What tells the folder of a cross-validation: its settings, beside a run for each fold.
CROSS_VALIDATION_FILE = "cross_validation.yaml"
FOLDS_FILE = "folds.csv"


class RunFolder:
    """The files of one training run."""

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

    def read_config(self, overrides: Sequence[str] = ()) -> Config:
        """The resolved configuration; RunError when this is no run."""
        self._check_is_run()
        known = self.read_tasks() if self.classes_file.is_file() else []
        config = load_config(self.config_file, overrides, known)
        folds_file = self.path.parent / FOLDS_FILE
        if config.data.fold is None or not folds_file.is_file():
            return config
        # A cross-validation may have been moved since: its folds are those beside its runs.
        data = config.data.model_copy(update={"folds_file": str(folds_file)})
        return config.model_copy(update={"data": data})

    def read_tasks(self) -> list[Task]:
        """The tasks with their classes, as they were when the run was trained."""
        self._check_is_run()
        return tasks_from_json(self.classes_file)

    def read_metrics(self) -> dict[str, Any]:
        """What metrics.json holds; empty when the run has not finished an epoch."""
        try:
            metrics = json.loads(self.metrics_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise RunError(f"{self.metrics_file}: not valid JSON: {error}") from None
        if not isinstance(metrics, dict) or not isinstance(metrics.get("tasks"), dict):
            raise RunError(f"{self.metrics_file}: does not hold a run's metrics")
        return metrics

    @property
    def weights_file(self) -> Path:
        """The better of the best plain and the best averaged weights: what predicts."""
        return self.path / str(self.read_metrics().get("weights", self.best_parameters.name))

    @property
    def is_finished(self) -> bool:
        """Whether all epochs have been trained, or the run stopped early."""
        return bool(self.read_metrics().get("finished"))

    def check_same_config(self, config: Config) -> None:
        """RunError unless the run was begun with this configuration; threads may differ."""
        different = deciding_differences(self.read_config(), config)
        if different:
            raise RunError(
                f"{self.path}: was begun with another configuration ({'; '.join(different)})",
                f"Resume without overrides, or start anew: with --overwrite, another --run, or "
                f"after removing {self.path}",
            )

    def _check_is_run(self) -> None:
        if not self.config_file.is_file():
            problem = f"{self.path}: not a run (no {self.config_file.name} in it)"
            inside = find_runs(self.path)
            if inside:
                raise RunError(problem, f"Name one of its runs, such as {inside[0]}")
            meant = closest(self.path.name, (run.path.name for run in find_runs(self.path.parent)))
            raise RunError(
                problem, f"Did you mean '{self.path.with_name(meant)}'?" if meant else ""
            )

    def check_usable(self) -> None:
        """RunError unless there are weights to predict with."""
        self.read_config()
        if not self.weights_file.is_file():
            raise RunError(
                f"{self.path}: no {self.weights_file.name} yet",
                f"Train it first: fashionai train --run {self.path} --resume",
            )


def deciding_differences(begun: Config, wanted: Config) -> list[str]:
    """Keys that would make what was begun compute something else: threads do not.

    Where ``wanted`` leaves the input's mean and deviation open, it gets those of ``begun``.
    """
    filled = wanted.with_input(begun.data.mean, begun.data.std)
    return [line for line in differing_keys(begun, filled) if not line.startswith("data.workers:")]


def open_runs(paths: Sequence[Path]) -> list[RunFolder]:
    """The runs of these folders, of a cross-validation's folder those of all its folds.

    A run that is named twice counts once. Raises RunError for a fold that is not
    finished.
    """
    runs: list[RunFolder] = []
    for path in paths:
        folds = find_folds(path)
        for fold in folds:
            if not fold.is_finished:
                raise RunError(
                    f"{fold}: this fold is not finished",
                    f"Go on with: fashionai cross-validate --run {path} --resume",
                )
        runs += folds or [RunFolder(path)]
    return list({run.path.resolve(): run for run in runs}.values())


def find_folds(path: Path) -> list[RunFolder]:
    """The runs of a cross-validation's folds, begun or not; none for another folder."""
    file = path / CROSS_VALIDATION_FILE
    if not file.is_file():
        return []
    folds = load_yaml(file).get("folds")
    if not isinstance(folds, int) or folds < 2:
        raise RunError(f"{file}: folds is {folds!r}, expected a number of at least 2")
    return [RunFolder(path / f"fold-{number}") for number in range(1, folds + 1)]


def create_run(wanted: Path) -> RunFolder:
    """Make a new run folder: ``wanted``, or wanted-2, wanted-3 ... when it is taken."""
    wanted.parent.mkdir(parents=True, exist_ok=True)
    candidate, number = wanted, 1
    while True:
        try:
            candidate.mkdir()
        except FileExistsError:
            if candidate.is_dir() and not any(candidate.iterdir()):
                return RunFolder(candidate)
            number += 1
            candidate = wanted.with_name(f"{wanted.name}-{number}")
        else:
            return RunFolder(candidate)


def remove_run(path: Path) -> None:
    """Delete a run folder; RunError when the folder holds something else."""
    if not path.exists():
        return
    if not any((path / name).is_file() for name in ("config.yaml", CROSS_VALIDATION_FILE)):
        raise RunError(f"{path}: not a run (no config.yaml), so it is not overwritten")
    shutil.rmtree(path)


def find_runs(folder: Path = RUNS_FOLDER) -> list[RunFolder]:
    """All runs directly below a folder, by name."""
    return [RunFolder(file.parent) for file in sorted(folder.glob("*/config.yaml"))]


def learnt_tasks(runs: Sequence[RunFolder]) -> list[Task]:
    """The tasks that any of these runs has learnt, as they were when it did."""
    begun = [run for run in runs if run.classes_file.is_file()]
    return list(dict.fromkeys(task for run in begun for task in run.read_tasks()))


def check_same_classes(tasks: Sequence[Task]) -> None:
    """RunError for a task that runs have learnt with different classes."""
    names = [task.name for task in dict.fromkeys(tasks)]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise RunError(f"{doubled[0]}: the runs know it with different classes", "Name one --run")


def best_finished_runs(
    tasks: Sequence[Task], folder: Path = RUNS_FOLDER
) -> dict[Task, list[RunFolder]]:
    """For each task its finished run with the best validation mAP, in a list of one.

    RunError that names every task without one.
    """
    scores: dict[Task, dict[RunFolder, float]] = {task: {} for task in tasks}
    unfinished = []
    for run in find_runs(folder):
        learnt = run.read_tasks() if run.classes_file.is_file() else []
        wanted = [task for task in learnt if task in scores]
        metrics = run.read_metrics() if wanted else {}
        if wanted and not metrics.get("finished"):
            unfinished.append(str(run))
            continue
        for task in wanted:
            scores[task][run] = metrics["tasks"].get(task.name, {}).get("map") or 0.0
    without = [task for task in tasks if not scores[task]]
    if without:
        started = f" (unfinished: {', '.join(unfinished)})" if unfinished else ""
        raise RunError(
            f"{folder}: no finished run of {', '.join(task.name for task in without)}{started}",
            f"Train one with fashionai train --config configs/{without[0].short_name}.yaml, "
            "name one with --run, or choose other tasks with --task",
        )
    return {task: [max(found, key=found.__getitem__)] for task, found in scores.items()}
