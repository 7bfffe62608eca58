"""How much of the gain of a search is luck: the best trial is trained anew, beside the untuned one.

The best of many trials is also the luckiest on the images that chose it. New seeds, and images
that chose neither the trial nor the epoch, tell what is left.
"""

from __future__ import annotations

import contextlib
import logging
import re
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np
from scipy import stats

from fashionai.config import Config
from fashionai.datasets.prepared.folders import read_split
from fashionai.datasets.prepared.folds import write_folds
from fashionai.datasets.prepared.samples import read_samples
from fashionai.errors import DataError, FashionAIError, counted
from fashionai.fold_plan import FoldSettings, plan_folds
from fashionai.progress import ProgressBar
from fashionai.reporting.tables import WIDTH
from fashionai.runs import FOLDS_FILE, Run, RunFolder, remove_free_lock, remove_weights
from fashionai.training.records.history import EpochRow, rank, read_rows, weight_kinds
from fashionai.tuning.search import (
    SECONDS_BETWEEN_LOOKS,
    error_of_study,
    train_run,
)
from fashionai.tuning.study import Study
from fashionai.tuning.table import long_name
from fashionai.tuning.trials import Trial, is_minimized

log = logging.getLogger(__name__)

# Fresh folds are drawn with the seed of the configuration and so much more.
SEEDS_APART = 1000
CONFIDENCE = 0.95


class Confirmation(NamedTuple):
    """Scores of new trainings: ``tuned`` and ``untuned`` of the same seeds or folds, in order.

    ``on_folds`` tells that each is of another fold, else all are of the ``images`` of the test
    split. ``validation`` has the values of the best and the first trial in the search.
    """

    objective: str
    on_folds: bool
    images: int
    tuned: Sequence[float]
    untuned: Sequence[float]
    validation: tuple[float, float]

    @property
    def gain(self) -> float:
        """By how much the tuned configuration is better on average; negative if it is worse."""
        return self._gain(float(np.mean(self.tuned)), float(np.mean(self.untuned)))

    @property
    def expected(self) -> float:
        """The gain in the search."""
        return self._gain(*self.validation)

    def interval(self) -> Optional[tuple[float, float]]:
        """The 95 % confidence interval of the gain; None for one training of each.

        By Student's t of the differences per fold, and by Welch's of two samples for seeds.
        """
        if len(self.tuned) < 2:
            return None
        one, other = np.array(self.tuned), np.array(self.untuned)
        if self.on_folds:
            error = _variance_of_mean(one - other) ** 0.5
            freedom = len(one) - 1.0
        else:
            parts = [_variance_of_mean(one), _variance_of_mean(other)]
            error = sum(parts) ** 0.5
            squares = sum(part**2 for part in parts) / (len(one) - 1)
            freedom = sum(parts) ** 2 / squares if squares else 1.0
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
        return self.gain - half, self.gain + half

    def _gain(self, tuned: float, untuned: float) -> float:
        return untuned - tuned if is_minimized(self.objective) else tuned - untuned


def confirm(study: Study, best: Trial, count: int, progress: ProgressBar) -> Confirmation:
    """Train the best trial's and the user's configuration ``count`` times each, or resume that.

    They are scored on the test split, with new seeds; without a test split on ``count`` fresh
    folds, at least 2. Several processes share the trainings. Errors as for Trainer.fit.
    """
    on_folds = not _has_test(study.config)
    if on_folds:
        count = max(count, 2)
        _write_fresh_folds(study, count, progress)
    jobs = _jobs(study, best, count, on_folds)
    _train(study, jobs)
    return _confirmation(study, best, jobs, on_folds)


def finished_confirmation(study: Study, best: Trial) -> Optional[Confirmation]:
    """The confirmation of the best trial with the most trainings; None where none is finished.

    Nothing is trained.
    """
    if best.number == 0:
        return None
    on_folds = not _has_test(study.config)
    pattern, place = "confirm/trial-0-seed-*", -1
    if on_folds:
        pattern, place = f"confirm-*-folds/{FOLDS_FILE}", -2
    begun = [re.findall(r"\d+", file.parts[place]) for file in study.path.glob(pattern)]
    for count in sorted((int(numbers[-1]) for numbers in begun if numbers), reverse=True):
        jobs = _jobs(study, best, count, on_folds)
        if all(Run(folder).is_finished for folder, _ in jobs):
            return _confirmation(study, best, jobs, on_folds)
    return None


def _jobs(study: Study, best: Trial, count: int, on_folds: bool) -> list[tuple[RunFolder, Config]]:
    """The trainings of the best and the given configuration, by turns."""
    both = ((best.number, study.config_of(best.number, best.params)), (0, study.config))
    return [
        _job(study, number, config, at, count if on_folds else None)
        for at in range(1, count + 1)
        for number, config in both
    ]


def _confirmation(
    study: Study, best: Trial, jobs: Sequence[tuple[RunFolder, Config]], on_folds: bool
) -> Confirmation:
    """What the finished trainings say."""
    tuned, untuned = _scores(study, jobs[::2]), _scores(study, jobs[1::2])
    images = 0 if on_folds else len(read_samples(study.config, "test").paths)
    at = list(study.settings.objectives).index(study.score)
    values = best.values[at], study.storage.trials()[0].values[at]
    return Confirmation(study.score, on_folds, images, tuned, untuned, values)


def confirmation_lines(found: Confirmation, trials: int) -> list[str]:
    """What the new trainings say, in lines of 80 columns."""
    name, count = long_name(found.objective), len(found.tuned)
    where = f"{counted(count, 'fresh fold')}, each at the epoch that is best on the others"
    if not found.on_folds:
        where = f"{counted(found.images, 'test image')}, {counted(count, 'new seed')} each"
    in_search = (
        f"in the search: {name} {found.validation[0]:.4f} tuned, {found.validation[1]:.4f} "
        f"untuned, gain {found.expected:.4f}"
    )
    interval = found.interval()
    of_gain = "" if interval is None else f" (95 % confidence interval {_range(interval)})"
    return [
        *textwrap.wrap(in_search, WIDTH),
        f"confirmed on {where}:",
        f"  tuned    {_spread(found.tuned)}",
        f"  untuned  {_spread(found.untuned)}",
        f"  gain     {found.gain:.4f}{of_gain}",
        *textwrap.wrap(_conclusion(found, interval, trials), WIDTH),
    ]


def _conclusion(found: Confirmation, interval: Optional[tuple[float, float]], trials: int) -> str:
    """How much of the gain may be luck, in sentences."""
    text = _compared_with_search(found, trials)
    if interval is None:
        return f"{text} One training of each does not tell how much scores differ by chance."
    if interval[0] <= 0 <= interval[1]:
        trainings = counted(len(found.tuned), "training")
        return f"{text} The interval contains 0: {trainings} of each do not tell which is better."
    if interval[1] < 0:
        return f"{text} The tuned configuration is worse than the untuned one."
    chance = f"more than the chance of {'folds' if found.on_folds else 'seeds'}"
    return f"{text} The confirmed gain is {chance}."


def _compared_with_search(found: Confirmation, trials: int) -> str:
    """What is left of the gain in the search, in a sentence."""
    if found.expected <= 0:
        name = long_name(found.objective)
        return f"The search chose this trial for its other objective, not for a better {name}."
    if found.gain <= 0:
        return "Nothing of the gain in the search is left."
    lost = found.expected - found.gain
    if lost <= 0:
        return f"The gain is not smaller than in the search of {counted(trials, 'trial')}."
    return (
        f"About {lost / found.expected:.0%} of the gain in the search was luck: the best of "
        f"{counted(trials, 'trial')} is also the luckiest."
    )


def _has_test(config: Config) -> bool:
    """Whether all tasks have a prepared test split."""
    try:
        for name in config.task_names:
            read_split(Path(config.data.folder) / name, "test")
    except DataError:
        return False
    return True


def _folds_file(study: Study, count: int) -> Path:
    """The fresh folds; beside them lie the runs, as those of a cross-validation do."""
    return study.path / f"confirm-{count}-folds" / FOLDS_FILE


def _write_fresh_folds(study: Study, count: int, progress: ProgressBar) -> None:
    """Write folds that the search has not seen, the same ones each time."""
    config = study.config
    seed = (config.seed + SEEDS_APART) % 2**31
    folds = plan_folds(config.changed({"seed": seed}), FoldSettings(count), progress)
    with study.locked():
        write_folds(_folds_file(study, count), *folds)


def _job(
    study: Study, number: int, config: Config, at: int, folds: Optional[int]
) -> tuple[RunFolder, Config]:
    """The folder and the configuration of one training, by its seed or fold from 1."""
    changes: dict[str, Any] = {"seed": (config.seed + at) % 2**31}
    if folds is None:
        folder = study.path / "confirm" / f"trial-{number}-seed-{at}"
        changes["evaluate_test"] = "end"
    else:
        file = _folds_file(study, folds)
        folder = file.with_name(f"trial-{number}-fold-{at}")
        changes |= {"data.folds_file": str(file), "data.fold": at}
    return RunFolder(folder), config.changed(changes)


def _train(study: Study, jobs: Sequence[tuple[RunFolder, Config]]) -> None:
    """Train the runs that are not finished, except for those that other processes train."""
    while True:
        left = [job for job in jobs if not Run(job[0]).is_finished]
        if not left:
            break
        log.info("confirming: %s left", counted(len(left), "training"))
        if not any(_train_if_free(study, *job) for job in left):
            time.sleep(SECONDS_BETWEEN_LOOKS)
    for folder, _ in jobs:
        _tidy(study, folder)


def _train_if_free(study: Study, folder: RunFolder, config: Config) -> bool:
    """Train a run unless another process does; returns whether this one did."""
    with contextlib.ExitStack() as stack:
        if not study.try_lock(_lock_name(folder), stack):
            return False
        try:
            train_run(folder, config, study.contexts)
        except FashionAIError as error:
            raise error_of_study(study, str(folder), [folder], error) from None
        remove_weights(folder)
    return True


def _tidy(study: Study, folder: RunFolder) -> None:
    """Remove the lock and the weights that a killed process has left in a finished run."""
    with contextlib.ExitStack() as stack:
        if study.try_lock(_lock_name(folder), stack):
            remove_free_lock(folder)
            remove_weights(folder)


def _lock_name(folder: RunFolder) -> str:
    """The name of a training's lock in the folder of the study."""
    return f"{folder.path.parent.name}-{folder.path.name}"


def _scores(study: Study, jobs: Sequence[tuple[RunFolder, Config]]) -> list[float]:
    """The scores of a configuration's finished trainings: on the test split, or on their folds."""
    config = jobs[0][1]
    if config.data.fold is not None:
        histories = [read_rows(folder) for folder, _ in jobs]
        return scores_on_folds(histories, config.epochs, config.monitor, study.score)
    return [float(Run(folder).metrics["test"][study.score]) for folder, _ in jobs]


def scores_on_folds(
    histories: Sequence[Sequence[EpochRow]], epochs: int, monitor: str, score: str
) -> list[float]:
    """The score of each fold at the epoch, and of the weights, that are best on the other folds.

    The epoch that is best on the fold itself would be chosen by the images that it is scored on,
    and noisy scores would gain from that. A fold that has stopped early keeps its last scores.
    """
    whole = [[*rows, *[rows[-1]] * (epochs - len(rows))] for rows in histories]
    scores = []
    for at, rows in enumerate(whole):
        epoch, kind = _best_on_average([*whole[:at], *whole[at + 1 :]], monitor)
        scores.append(rows[epoch][f"{kind}_{score}"])
    return scores


def _best_on_average(histories: Sequence[Sequence[EpochRow]], monitor: str) -> tuple[int, str]:
    """The epoch, from 0, and the weights that rank best in the mean of several folds."""
    candidates = [
        (epoch, kind)
        for kind in weight_kinds(histories[0][0])
        for epoch in range(len(histories[0]))
    ]

    def mean_rank(candidate: tuple[int, str]) -> list[float]:
        epoch, kind = candidate
        return np.mean([rank(rows[epoch], monitor, kind) for rows in histories], axis=0).tolist()

    return max(candidates, key=mean_rank)


def _variance_of_mean(values: np.ndarray) -> float:
    """The squared standard error of the mean of ``(N,)`` values, N > 1."""
    return float(values.var(ddof=1)) / len(values)


def _spread(values: Sequence[float]) -> str:
    """The mean, and the lowest and the highest value where there are several."""
    mean = f"{np.mean(values):.4f}"
    return mean if len(values) < 2 else f"{mean} ({_range((min(values), max(values)))})"


def _range(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.4f} to {ends[1]:.4f}"
