"""What a report is about: runs, and cross-validations with their folds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from fashionai.config import LAST
from fashionai.datasets.prepared.samples import data_has_changed
from fashionai.errors import ConfigError, counted
from fashionai.runs import GREEDY, Run, find_folds, open_runs
from fashionai.tasks import Task
from fashionai.training.records.history import score_name

OUT_OF_FOLD = "out-of-fold"


class Subject(NamedTuple):
    """A run, or a cross-validation, whose runs are those of its folds."""

    path: Path
    runs: Sequence[Run]
    is_cross_validation: bool

    @property
    def name(self) -> str:
        """The path as the user gave it."""
        return str(self.path)

    @property
    def tasks(self) -> Sequence[Task]:
        """The tasks that were learnt."""
        return self.runs[0].tasks

    @property
    def data_has_changed(self) -> bool:
        """Whether the prepared folder is known to have changed since the training."""
        return any(data_has_changed(run) for run in self.runs)

    @property
    def progress(self) -> str:
        """What was trained, in a sentence or two."""
        if self.is_cross_validation:
            return (
                f"A cross-validation of {counted(len(self.runs), 'fold')}. Each image is predicted "
                "by the run that was trained without it."
            )
        (run,) = self.runs
        if run.averaged_runs:
            chosen = ", chosen by validation scores" if run.averaging == GREEDY else ""
            return f"The weights are {run.weights_origin}{chosen}."
        unfinished = "" if run.is_finished else " The run is unfinished."
        monitor = str(run.metrics.get("monitor", "map"))
        chosen = (
            "the last one" if monitor == LAST else f"the best by validation {score_name(monitor)}"
        )
        return (
            f"{run.epochs_done} epochs. The weights are those of {run.weights_origin}, {chosen}."
            f"{unfinished}"
        )

    def at_crop(self, crop: Optional[int]) -> Subject:
        """The same runs for crops of another side in pixels; see Run.at_crop."""
        return self._replace(runs=[run.at_crop(crop) for run in self.runs])


def open_subjects(paths: Sequence[Path]) -> list[Subject]:
    """Open the runs and cross-validations in these folders; errors as for open_runs.

    Raises ConfigError for a folder that is given twice.
    """
    places = [path.resolve() for path in paths]
    for at, path in enumerate(paths):
        if places[at] in places[:at]:
            raise ConfigError(f"{path}: is given twice", "Give each run once")
    return [Subject(path, open_runs([path]), bool(find_folds(path))) for path in paths]


def split_of(subject: Subject, wanted: Optional[str]) -> str:
    """The split that a report shows of a run; ConfigError for one that it does not have."""
    if wanted is None:
        return OUT_OF_FOLD if subject.is_cross_validation else "val"
    if subject.is_cross_validation and wanted != OUT_OF_FOLD:
        raise ConfigError(
            f"--split {wanted}: {subject.name} is a cross-validation, which has "
            f"{OUT_OF_FOLD} predictions",
            f"Give --split {OUT_OF_FOLD}, or one of its folds, such as {subject.runs[0]}",
        )
    if wanted == OUT_OF_FOLD and not subject.is_cross_validation:
        raise ConfigError(
            f"--split {wanted}: {subject.name} is a single run, expected a cross-validation"
        )
    return wanted
