"""The trials of a study in SQLite, by Optuna: the only module that imports it.

A trial is stored at once with all of its parameters. These follow from the seed, the number of the
trial and the trials before: a study of one process that was killed proposes the same ones again.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from fashionai.errors import InstallationError, RunError
from fashionai.tuning.spaces.space import Choices, Parameter, Params, Space, Value
from fashionai.tuning.trials import FAILED, FINISHED, PRUNED, RUNNING, Trial, is_minimized

if TYPE_CHECKING:
    import optuna

STUDY = "fashionai"
# Attributes of a trial, and the keys of the first one.
PROGRESS, REASON = "progress", "reason"
SCORES, SECONDS = "scores", "seconds"
SAMPLERS, PRUNERS = ("tpe", "random"), ("median", "hyperband", "none")
# Random trials before TPE models the results.
STARTUP_TRIALS = 6
# A trial with the parameters of another one would be that one again: other values are proposed.
MOST_PROPOSALS = 50
# Finished trials before others are compared with them, and the share of epochs before that.
FEWEST_TO_COMPARE, SHARE_BEFORE_PRUNING = 5, 0.25
# Significant digits of proposed numbers, which people read.
DIGITS = 4
# Other processes hold the file for milliseconds.
SECONDS_TO_WAIT = 60.0
# Of PED-ANOVA: the share of trials that is compared with all, the fewest trials and values.
SHARE_OF_BEST, FEWEST_FOR_IMPORTANCE, FEWEST_VALUES = 0.25, 6, 4


def check_installed() -> None:
    """InstallationError unless Optuna is installed."""
    if importlib.util.find_spec("optuna") is None:
        raise InstallationError(
            "tune needs the package optuna, which is not installed",
            "Install it: pip install 'fashionai[tune]'",
        )


class Storage:
    """The trials in one file.

    Only add makes new trials, under the lock of the study. Each other method changes a trial of
    which this process holds the lock.

    Args:
        file: The SQLite file, made if it does not exist.
        objectives: Names of one or two objectives.
        sampler: One of SAMPLERS.
        pruner: One of PRUNERS; of one objective alone.
        steps: The epochs of a trial, over all folds.
        seed: Seed of the proposals.
    """

    def __init__(
        self,
        file: Path,
        objectives: Sequence[str],
        sampler: str,
        pruner: str,
        steps: int,
        seed: int,
    ) -> None:
        self._optuna = _import_optuna()
        # The current folder may change.
        self._file, self._sampler, self._seed = file.absolute(), sampler, seed
        self._directions = ["minimize" if is_minimized(each) else "maximize" for each in objectives]
        self._pruner = _make_pruner(self._optuna, pruner, steps)
        self._prunes = pruner != "none" and len(objectives) == 1
        self._study = self._open()

    def trials(self) -> list[Trial]:
        """All trials, by number."""
        return [_as_trial(each) for each in self._study.get_trials(deepcopy=False)]

    def check_space(self, space: Space, file: Path) -> None:
        """RunError for trials of another search space than this one, which ``file`` holds."""
        distributions = {each.key: _distribution(self._optuna, each) for each in space}
        check = self._optuna.distributions.check_distribution_compatibility
        for trial in self._study.get_trials(deepcopy=False):
            for key, found in trial.distributions.items():
                try:
                    check(found, distributions[key])
                except (KeyError, ValueError):
                    raise RunError(
                        f"{file}: {key} has other values than in trial {trial.number}",
                        "Restore the file, or begin another search with --run",
                    ) from None

    def add(self, params: Params, space: Space) -> int:
        """Store a trial with these parameters as running; returns its number."""
        distributions = {key: _distribution(self._optuna, space[key]) for key in params}
        self._study.add_trial(
            self._optuna.trial.create_trial(
                state=self._optuna.trial.TrialState.RUNNING,
                params=dict(params),
                distributions=distributions,
            )
        )
        return len(self._study.get_trials(deepcopy=False)) - 1

    def propose(self, space: Space) -> Optional[dict[str, Value]]:
        """The parameters of the next trial, which no other one has; None if none were found."""
        before = self._study.get_trials()
        study = self._optuna.create_study(
            study_name=STUDY,
            directions=self._directions,
            sampler=self._make_sampler(len(before)),
            pruner=self._pruner,
        )
        study.add_trials(before)
        known = [each.params for each in before]
        for _ in range(MOST_PROPOSALS):
            params = _suggest_all(study.ask(), space)
            if params not in known:
                return params
        return None

    def report(self, number: int, scores: Sequence[float], seconds: float) -> bool:
        """Store the score of each epoch of a running trial, and its seconds so far.

        Returns whether the trial should be pruned because of the last score.
        """
        trial = self._running(number)
        trial.set_user_attr(PROGRESS, {SCORES: list(scores), SECONDS: seconds})
        if not self._prunes:
            return False
        known = self._frozen(number).intermediate_values
        for step, score in enumerate(scores, start=1):
            if step not in known:
                trial.report(score, step)
        return trial.should_prune()

    def keep_seconds(self, number: int, seconds: float) -> None:
        """Store the seconds of a running trial so far."""
        known = self._frozen(number).user_attrs.get(PROGRESS, {})
        self._running(number).set_user_attr(PROGRESS, {**known, SECONDS: seconds})

    def finish(self, number: int, values: Sequence[float]) -> None:
        """Store the values of a running trial, which is finished then."""
        self._study.tell(number, list(values))

    def prune(self, number: int, reason: str) -> None:
        """Store that a running trial was ended before its last epoch, and why."""
        self._end(number, "PRUNED", reason)

    def fail(self, number: int, reason: str) -> None:
        """Store that a running trial cannot be trained, and why."""
        self._end(number, "FAIL", reason)

    @contextlib.contextmanager
    def clear_errors(self) -> Iterator[None]:
        """Turn errors of the file, such as a full disk, into a RunError."""
        import sqlalchemy.exc

        errors = sqlalchemy.exc.DatabaseError, self._optuna.exceptions.StorageInternalError
        try:
            yield
        except errors as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            raise RunError(f"{self._file}: {reason}") from None

    def importance(self, keys: Sequence[str]) -> dict[str, float]:
        """The shares of these parameters in whether a trial is among the best, the largest first.

        By PED-ANOVA (arXiv:2304.10255) of the first objective, of each parameter over the finished
        trials that have it. Parameters that too few have, or that all have with the same value, are
        left out.
        """
        optuna = self._optuna
        finished = self._study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])
        if len({each.values[0] for each in finished}) < FEWEST_VALUES:
            return {}
        sign = 1 if self._directions[0] == "minimize" else -1
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=SHARE_OF_BEST)
        found: dict[str, float] = {}
        for key in keys:
            values = [each.params[key] for each in finished if key in each.params]
            # PED-ANOVA takes the noise of its densities for the importance of a constant.
            if len(values) >= FEWEST_FOR_IMPORTANCE and len({*values}) > 1:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # that low targets are good, as they are here
                    found |= evaluator.evaluate(
                        self._study, params=[key], target=lambda trial: sign * trial.values[0]
                    )
        total = sum(found.values()) or 1.0
        return {
            key: found[key] / total for key in sorted(found, key=found.__getitem__, reverse=True)
        }

    def _end(self, number: int, state: str, reason: str) -> None:
        self._running(number).set_user_attr(REASON, reason)
        self._study.tell(number, state=self._optuna.trial.TrialState[state])

    def _frozen(self, number: int) -> optuna.trial.FrozenTrial:
        return self._study.get_trials(deepcopy=False)[number]

    def _running(self, number: int) -> optuna.Trial:
        return self._optuna.Trial(self._study, self._frozen(number)._trial_id)

    def _open(self) -> optuna.Study:
        import sqlalchemy.exc

        try:
            return self._optuna.create_study(
                storage=self._optuna.storages.RDBStorage(
                    f"sqlite:///{self._file.name}", engine_kwargs={"creator": self._connect}
                ),
                study_name=STUDY,
                directions=self._directions,
                sampler=self._optuna.samplers.RandomSampler(),
                pruner=self._pruner,
                load_if_exists=True,
            )
        except (sqlalchemy.exc.DatabaseError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise RunError(
                f"{self._file}: cannot be read: {reason}", "Start anew with --overwrite"
            ) from None

    def _connect(self) -> sqlite3.Connection:
        """A connection to the file; some characters of paths mean something else in a URL."""
        return sqlite3.connect(self._file, timeout=SECONDS_TO_WAIT, check_same_thread=False)

    def _make_sampler(self, number: int) -> optuna.samplers.BaseSampler:
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        if self._sampler == "random":
            return self._optuna.samplers.RandomSampler(seed)
        return self._optuna.samplers.TPESampler(
            seed=seed,
            n_startup_trials=STARTUP_TRIALS,
            multivariate=True,
            group=True,
            constant_liar=True,  # processes that work at once try different values
        )


def _import_optuna() -> Any:
    """Optuna, without its log lines and its warnings about parts that may change."""
    check_installed()
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def _make_pruner(optuna: Any, name: str, steps: int) -> Any:
    if name == "median":
        return optuna.pruners.MedianPruner(
            FEWEST_TO_COMPARE, n_warmup_steps=math.ceil(SHARE_BEFORE_PRUNING * steps)
        )
    if name == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=steps)
    return optuna.pruners.NopPruner()


def _distribution(optuna: Any, parameter: Parameter) -> Any:
    domain = parameter.domain
    if isinstance(domain, Choices):
        return optuna.distributions.CategoricalDistribution([*domain.values])
    if domain.whole:
        step = 1 if domain.step is None else int(domain.step)
        return optuna.distributions.IntDistribution(
            int(domain.low), int(domain.high), log=domain.log, step=step
        )
    return optuna.distributions.FloatDistribution(
        domain.low, domain.high, log=domain.log, step=domain.step
    )


def _suggest_all(trial: optuna.Trial, space: Space) -> dict[str, Value]:
    params: dict[str, Value] = {}
    for parameter in space:
        if parameter.is_active(params):
            params[parameter.key] = _suggest(trial, parameter)
    return params


def _suggest(trial: optuna.Trial, parameter: Parameter) -> Value:
    key, domain = parameter.key, parameter.domain
    if isinstance(domain, Choices):
        return str(trial.suggest_categorical(key, [*domain.values]))
    if domain.whole:
        step = 1 if domain.step is None else int(domain.step)
        return trial.suggest_int(key, int(domain.low), int(domain.high), step=step, log=domain.log)
    value = trial.suggest_float(key, domain.low, domain.high, step=domain.step, log=domain.log)
    if domain.step is None:
        value = min(max(float(f"{value:.{DIGITS}g}"), domain.low), domain.high)
    return value


def _as_trial(frozen: optuna.trial.FrozenTrial) -> Trial:
    states = {"COMPLETE": FINISHED, "PRUNED": PRUNED, "FAIL": FAILED}
    state = states.get(frozen.state.name, RUNNING)
    values: Optional[Sequence[float]] = frozen.values if state == FINISHED else None
    progress: Mapping[str, Any] = frozen.user_attrs.get(PROGRESS, {})
    return Trial(
        frozen.number,
        state,
        frozen.params,
        values or (),
        progress.get(SCORES, ()),
        progress.get(SECONDS, 0.0),
        frozen.user_attrs.get(REASON, ""),
    )
