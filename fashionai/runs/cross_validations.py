"""Cross-validations as lists of runs show them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Optional

from fashionai.errors import FashionAIError, RunError, closest
from fashionai.files.default_folders import RUNS_FOLDER
from fashionai.files.formats.json_files import read_json
from fashionai.runs.folders import (
    CROSS_VALIDATION_FILE,
    SCORES_FILE,
    RunFolder,
    find_folders_of,
    find_folds,
)
from fashionai.runs.run import Run, learnt_tasks
from fashionai.tasks import Task

log = logging.getLogger(__name__)


class ListedCrossValidation(NamedTuple):
    """A cross-validation: its folder, tasks, folds, and how many of them are finished.

    ``scores`` are those of mean_scores; they are empty until all folds are predicted.
    """

    path: Path
    tasks: list[Task]
    folds: int
    finished: int
    scores: Mapping[str, Optional[float]]


def find_cross_validation_folders(folder: Path) -> list[Path]:
    """The folders of the cross-validations directly below a folder, by name."""
    return find_folders_of(f"*/{CROSS_VALIDATION_FILE}", folder)


def find_cross_validations(folder: Path = RUNS_FOLDER) -> list[ListedCrossValidation]:
    """The cross-validations directly below a folder; a warning names each that is damaged."""
    found = []
    for path in find_cross_validation_folders(folder):
        try:
            found.append(_read(path))
        except FashionAIError as error:
            log.warning("left out: %s", error)
    return found


def check_is_cross_validation(path: Path, hint_of_run: str = "") -> None:
    """RunError for a folder of anything else, with the nearest cross-validation beside it.

    ``hint_of_run`` is the hint for the folder of a run.
    """
    if find_folds(path):
        return
    problem = "not a cross-validation" if path.exists() else "does not exist"
    if RunFolder(path).has_begun:
        raise RunError(f"--folds {path}: {problem}", hint_of_run)
    others = (other.name for other in find_cross_validation_folders(path.parent))
    meant = closest(path.name, others)
    hint = f"Did you mean '{path.with_name(meant)}'?" if meant else ""
    raise RunError(f"--folds {path}: {problem}", hint)


def _read(path: Path) -> ListedCrossValidation:
    runs = [Run(fold) for fold in find_folds(path)]
    finished = sum(run.is_finished for run in runs)
    return ListedCrossValidation(path, learnt_tasks(runs), len(runs), finished, mean_scores(path))


def mean_scores(path: Path) -> dict[str, Optional[float]]:
    """The mean scores over folds in scores.json by name; empty when it is not written yet.

    None is a score without a value, such as the ROC AUC of a fold with a single class.
    """
    file = path / SCORES_FILE
    try:
        scores = read_json(file)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise RunError(f"{file}: not valid JSON: {error}") from None
    mean = scores.get("mean") if isinstance(scores, dict) else None
    if not isinstance(mean, dict) or not all(
        each is None or type(each) in (int, float) for each in mean.values()
    ):
        raise RunError(f"{file}: does not hold the scores of a cross-validation")
    return mean
