"""The search: trials are claimed, trained and stored until there are enough."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from fashionai.config import Config
from fashionai.errors import (
    DivergedError,
    FashionAIError,
    FrameworkError,
    RunStoppedError,
    TrainingError,
)
from fashionai.runs import Run, RunFolder, remove_weights
from fashionai.training.records.history import EpochRow, choose_best, is_finished, read_rows
from fashionai.training.records.messages import resume_command
from fashionai.training.records.observers import EndOfRun
from fashionai.training.start import train_or_resume
from fashionai.tuning.budget import Budget
from fashionai.tuning.study import Study
from fashionai.tuning.timing import milliseconds_per_image
from fashionai.tuning.trials import FINISHED, RUNNING, TIME, Trial, kept

log = logging.getLogger(__name__)

# Another process may end, or be killed: its trial is then taken over.
SECONDS_BETWEEN_LOOKS = 0.5
# So many failures one after the other have one reason.
MOST_FAILURES = 3
LOW_SCORES, TOO_SLOW = "low scores", "too slow"

# Called when something has changed; gets all trials.
Show = Callable[[Sequence[Trial]], None]


@dataclass
class EpochObserver:
    """Tells the rows of a run's history to a function, which may raise EndOfRun.

    Another one is told that its epochs begin.
    """

    tell: Callable[[Sequence[EpochRow]], None]
    tell_beginning: Callable[[], None]

    def begin(self, run: RunFolder, config: Config) -> None:
        """A training begins, or a run is resumed."""
        self.tell_beginning()

    def observe(self, rows: Sequence[EpochRow]) -> None:
        """The history of the run has these rows."""
        self.tell(rows)

    def finish(self, devices: Sequence[Any]) -> None:
        """All epochs are trained."""

    def end_early(self, *, failed: bool) -> None:
        """The training ends before its last epoch."""


def search(study: Study, budget: Budget, show: Show) -> list[Trial]:
    """Train trials until there are enough, or no other values; returns all, none still runs.

    Trials that killed processes have left are resumed first. Other processes may work on the same
    study: this returns when their trials have ended, too. Raises RunStoppedError when the user
    stops it, TrainingError where the disk is full, and the error of the first trial, or of
    several trials in a row, that cannot be trained.
    """
    failures = 0
    study.remove_free_locks()
    remove_lost_weights(study)
    while True:
        with study.storage.clear_errors(), contextlib.ExitStack() as stack:
            number = _claim(study, budget, stack)
            if number is not None:
                try:
                    _train_trial(study, budget, number, show)
                    failures = 0
                except FashionAIError as error:
                    failures += 1
                    if not _is_of_trial(error) or number == 0 or failures == MOST_FAILURES:
                        runs = [run for run, _ in study.runs_of(number, study.config)]
                        raise error_of_study(study, f"trial {number}", runs, error) from None
                    study.storage.fail(number, error.message)
                remove_lost_weights(study)
        trials = study.storage.trials()
        show(trials)
        if number is None:
            if not any(trial.state == RUNNING for trial in trials):
                return trials
            time.sleep(SECONDS_BETWEEN_LOOKS)


@contextlib.contextmanager
def stoppable(study: Study) -> Iterator[None]:
    """Turn Ctrl-C between trainings into a RunStoppedError that tells how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise RunStoppedError(
            f"{study.path}: stopped between trainings", f"Resume with: {study.resume_command}"
        ) from None


def remove_lost_weights(study: Study) -> None:
    """Remove the weights and the states of all trials but the best ones."""
    with study.locked():
        trials = study.storage.trials()
        best = kept(trials, study.settings.objectives)
        for trial in trials:
            if trial.state != RUNNING and trial.number not in best:
                for run, _ in study.runs_of(trial.number, study.config):
                    remove_weights(run)


def score_of(rows: Sequence[EpochRow], config: Config, score: str) -> float:
    """A score of the epoch that the configuration keeps, of its better weights."""
    best = choose_best(rows, config.monitor)
    return best.row[f"{best.kind}_{score}"]


def train_run(
    folder: RunFolder,
    config: Config,
    contexts: Sequence[Any],
    tell: Callable[[Sequence[EpochRow]], None] = lambda rows: None,
    tell_beginning: Callable[[], None] = lambda: None,
) -> list[EpochRow]:
    """Train a run, or resume it; returns its history. Errors as for Trainer and Trainer.fit."""
    train_or_resume(Run(folder), config, contexts, [EpochObserver(tell, tell_beginning)])
    return read_rows(folder)


def error_of_study(
    study: Study, name: str, runs: Iterable[RunFolder], error: FashionAIError
) -> FashionAIError:
    """The error of one of these runs, whose message begins with a name.

    Where its hint is to resume the run, this one is to resume the study.
    """
    message, hint = error.message, error.hint
    for run in runs:
        hint = hint.replace(resume_command(run, study.contexts), study.resume_command)
    return type(error)(message if message.startswith(name) else f"{name}: {message}", hint)


def _claim(study: Study, budget: Budget, stack: contextlib.ExitStack) -> Optional[int]:
    """The number of a trial whose lock this process holds until the stack is closed.

    It is one that a killed process has left, or a new one; None where there are enough, or where
    no other values were found.
    """
    with study.locked():
        trials = study.storage.trials()
        for trial in trials:
            if trial.state == RUNNING and study.try_lock(f"trial-{trial.number}", stack):
                return trial.number
        if not budget.allows_another(trials):
            return None
        # Before it is stored: otherwise another process could take it for one that was left.
        study.try_lock(f"trial-{len(trials)}", stack)
        own = study.space.params_of(study.config)
        params = study.storage.propose(study.space) if trials else own
        return None if params is None else study.storage.add(params, study.space)


def _train_trial(study: Study, budget: Budget, number: int, show: Show) -> None:
    """Train the runs of a trial that this process holds, and store how it ends."""
    trial = study.storage.trials()[number]
    show(study.storage.trials())
    scores = _TrialScores(study, budget, trial, show)
    try:
        with scores.timed():
            values = _trained(study, study.config_of(number, trial.params), number, scores)
        study.storage.finish(number, values)
    except EndOfRun as end:
        study.storage.prune(number, str(end))
    except DivergedError as error:
        if number == 0:
            raise
        study.storage.prune(number, error.message)


def _trained(study: Study, config: Config, number: int, scores: _TrialScores) -> list[float]:
    """Train the runs of a trial with this configuration; returns the values of the objectives."""
    for folder, run_config in study.runs_of(number, config):
        tell = scores.tell_of(run_config)
        rows = train_run(folder, run_config, study.contexts, tell, scores.begin_epochs)
        scores.tell(rows, run_config)
        scores.end_fold(rows, run_config)
    return _values(study, config, scores.folds)


def _values(study: Study, config: Config, folds: Sequence[float]) -> list[float]:
    """The values of the objectives; TrainingError for a score that is not a number."""
    score = sum(folds) / len(folds)
    if math.isnan(score):
        raise TrainingError(
            f"{study.score} cannot be computed on these validation images",
            "Give another --objective",
        )
    return [
        _milliseconds(study, config) if objective == TIME else score
        for objective in study.settings.objectives
    ]


def _milliseconds(study: Study, config: Config) -> float:
    """The time per image; that of an earlier trial with the same network and crop is kept."""
    at = list(study.settings.objectives).index(TIME)
    for trial in study.storage.trials():
        if trial.state == FINISHED:
            other = study.config_of(trial.number, trial.params)
            if (other.model.name, other.data.crop) == (config.model.name, config.data.crop):
                return trial.values[at]
    return milliseconds_per_image(config, study.contexts)


class _TrialScores:
    """The scores and the time of a trial, which decide whether it is ended early.

    The time is that on the clock, from its beginning to its end, also of a trial that is resumed.
    """

    def __init__(self, study: Study, budget: Budget, trial: Trial, show: Show) -> None:
        self._study, self._budget, self._number, self._show = study, budget, trial.number, show
        self._scores_of_folds: list[float] = []
        self.folds: list[float] = []
        # As if the trial had not been interrupted.
        self._began = time.monotonic() - trial.seconds
        self._epoch_began = time.monotonic()

    @property
    def seconds(self) -> float:
        """The time of the trial so far."""
        return time.monotonic() - self._began

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Store the time of the trial at the end of this block, however that ends."""
        try:
            yield
        finally:
            self._study.storage.keep_seconds(self._number, self.seconds)

    def begin_epochs(self) -> None:
        """The next epoch begins: what came before, such as building the network, is none."""
        self._epoch_began = time.monotonic()

    def tell_of(self, config: Config) -> Callable[[Sequence[EpochRow]], None]:
        """What an observer of a run with this configuration calls."""
        return lambda rows: self.tell(rows, config)

    def tell(self, rows: Sequence[EpochRow], config: Config) -> None:
        """A run has these rows so far; EndOfRun for a trial that is not worth its time."""
        storage, seconds = self._study.storage, self.seconds
        of_epoch = time.monotonic() - self._epoch_began
        self.begin_epochs()
        of_run = [self._mean(row, config) for row in rows]
        scores = [*self._scores_of_folds, *of_run]
        prunes = storage.report(self._number, scores, seconds)
        trials = storage.trials()
        self._show(trials)
        if not self._number or is_finished(config, rows):
            return
        if prunes:
            raise EndOfRun(LOW_SCORES)
        epochs = config.epochs * (self._study.settings.folds or 1)
        expected = seconds + (epochs - len(scores)) * of_epoch
        if self._budget.is_exceeded(trials, self._number, expected):
            raise EndOfRun(TOO_SLOW)

    def end_fold(self, rows: Sequence[EpochRow], config: Config) -> None:
        """A run of the trial is finished with these rows."""
        # A fold that has stopped early counts as all of its epochs: folds begin at the same step.
        scores = [self._mean(row, config) for row in rows]
        # A fold that has stopped early keeps its last score.
        self._scores_of_folds += scores + [scores[-1]] * (config.epochs - len(scores))
        self.folds.append(score_of(rows, config, self._study.score))

    def _mean(self, row: EpochRow, config: Config) -> float:
        """The mean of the folds before and of an epoch of this one."""
        score = score_of([row], config, self._study.score)
        return (sum(self.folds) + score) / (len(self.folds) + 1)


def _is_of_trial(error: FashionAIError) -> bool:
    """Whether an error may be one of a trial's settings: others end the search.

    Such are a stop by the user and a full disk.
    """
    ends = isinstance(error, (RunStoppedError, TrainingError))
    return isinstance(error, FrameworkError) or not ends
