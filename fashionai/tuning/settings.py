"""The settings and limits of a study: as the user gives them, and as its folder has them."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np

from fashionai.config import Config, reported_score
from fashionai.config.models import LAST, monitor_names
from fashionai.errors import ConfigError, RunError, nearest, shown
from fashionai.runs import MOST_FOLDS
from fashionai.tuning.budget import Budget
from fashionai.tuning.storage import PRUNERS, SAMPLERS
from fashionai.tuning.trials import TIME

# The key of tune.yaml for the file of the best configuration.
BEST_FILE = "out"


class Settings(NamedTuple):
    """What all trials of a study have in common, beside the configuration and the space.

    ``objectives`` are one score, or two objectives of which one may be TIME. Without ``folds`` the
    prepared validation split is used.
    """

    objectives: Sequence[str]
    folds: Optional[int] = None
    sampler: str = SAMPLERS[0]
    pruner: str = PRUNERS[0]

    @property
    def score(self) -> str:
        """The score that trials are pruned by."""
        return next(each for each in self.objectives if each != TIME)


class Given(NamedTuple):
    """What the user gives to begin or to resume a study; None for what is not given."""

    config_file: Optional[Path] = None
    overrides: Sequence[str] = ()
    space_file: Optional[Path] = None
    objectives: Optional[Sequence[str]] = None
    folds: Optional[int] = None
    sampler: Optional[str] = None
    pruner: Optional[str] = None
    trials: Optional[int] = None
    seconds: Optional[float] = None
    best_file: Optional[Path] = None
    confirm: Optional[int] = None

    @property
    def budget(self) -> Budget:
        """What is to end the search, of which both may be missing."""
        return Budget(self.trials, self.seconds)

    def resume_options(self, device: str) -> str:
        """The options to go on with that are not in the study's folder, each after a space."""
        options = {
            "trials": self.trials,
            "time": None if self.seconds is None else f"{_positional(self.seconds)}s",
            "confirm": self.confirm,
            "out": self.best_file,
            "device": None if device == "auto" else device,
        }
        given = {name: value for name, value in options.items() if value is not None}
        return "".join(f" --{name} {shlex.quote(str(value))}" for name, value in given.items())


def _positional(number: float) -> str:
    """A number without an exponent, with the fewest digits that tell it from others."""
    return np.format_float_positional(number, trim="-")


def new_settings(given: Given, config: Config) -> Settings:
    """The settings of a new study; ConfigError for those that are wrong."""
    if config.data.fold is not None:
        raise ConfigError("data.fold: tune makes its own folds", "Leave this key out")
    if given.folds is not None and given.folds > MOST_FOLDS:
        raise ConfigError(f"--folds {given.folds}: expected at most {MOST_FOLDS}")
    objectives = list(given.objectives or [reported_score(config.monitor)])
    scores = [name for name in monitor_names(config.task) if name != LAST]
    for name in objectives:
        if name not in (*scores, TIME):
            hint = nearest(name, [*scores, TIME])
            raise ConfigError(f"--objective: found '{shown(name)}'. {hint}")
    if len(objectives) > 2 or len(set(objectives)) < len(objectives) or objectives == [TIME]:
        listed = ", ".join(objectives)
        raise ConfigError(f"--objective: expected a score, or a score and another, found {listed}")
    defaults = Settings(objectives)
    sampler, pruner = given.sampler or defaults.sampler, given.pruner or defaults.pruner
    if len(objectives) > 1:
        if given.pruner not in (None, "none"):
            raise ConfigError(f"--pruner {given.pruner}: two objectives do not prune trials")
        pruner = "none"
    return Settings(objectives, given.folds, sampler, pruner)


def read_settings(file: Path, stored: Mapping[str, Any]) -> Settings:
    """The settings of tune.yaml; RunError for others than this project writes."""
    objectives: Any = stored.get("objectives")
    folds = stored.get("folds")
    is_sound = (
        isinstance(objectives, list)
        and 1 <= len(objectives) <= 2
        and all(isinstance(each, str) for each in objectives)
        and (folds is None or (type(folds) is int and 2 <= folds <= MOST_FOLDS))
        and stored.get("sampler") in SAMPLERS
        and stored.get("pruner") in PRUNERS
    )
    if not is_sound:
        raise RunError(f"{file}: does not hold the settings of a search")
    return Settings(objectives, folds, stored["sampler"], stored["pruner"])


def check_budget(budget: Budget, path: Path) -> None:
    """ConfigError for a search in this folder that nothing ends."""
    if not any(budget):
        raise ConfigError(
            f"{path}: nothing says when this search ends", "Give --trials N or --time TIME"
        )


def read_budget(file: Path, stored: Mapping[str, Any]) -> Budget:
    """The limits of tune.yaml, none where an older version wrote it; RunError for wrong ones."""
    budget = Budget(*(stored.get(name) for name in Budget._fields))
    are_sound = (budget.trials is None or (type(budget.trials) is int and budget.trials > 0)) and (
        budget.seconds is None
        or (type(budget.seconds) in (int, float) and 0 < budget.seconds < math.inf)
    )
    if not are_sound:
        raise RunError(f"{file}: does not hold the limits of a search", "Give --trials N")
    return budget


def read_best_file(file: Path, stored: Mapping[str, Any]) -> Optional[Path]:
    """The file of the best configuration in tune.yaml, None where it has none.

    RunError for something else in its place.
    """
    place = stored.get(BEST_FILE)
    if place is None:
        return None
    if not isinstance(place, str) or not place:
        raise RunError(f"{file}: {BEST_FILE}: expected the name of a file", "Give --out FILE")
    return Path(place)
