"""Averages the weights of several runs into one network (model soups, arXiv:2203.05482)."""

from __future__ import annotations

import itertools
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fashionai.config import Config, reported_score, save_config
from fashionai.config.phases import TRAINABLE
from fashionai.datasets.prepared.samples import (
    data_hash,
    read_samples,
    warn_of_changed_data,
)
from fashionai.errors import RunError
from fashionai.files import atomic_path, file_hash, write_json
from fashionai.files.formats.array_lists import read_array_list, write_array_list
from fashionai.files.outputs import try_folder
from fashionai.metrics import SCORE_NAMES
from fashionai.models.freezing import STATISTICS
from fashionai.predictions.predict import check_task
from fashionai.progress import Advance, ProgressBar, no_bar
from fashionai.runs import (
    GREEDY,
    UNIFORM,
    Run,
    RunFolder,
    check_free,
    check_removable,
    create_run,
    holds_run,
    locked_run,
    open_runs,
    remove_run,
)
from fashionai.runs.recorded_weights import BEGINNING, INITIAL_WEIGHTS, WEIGHTS_HASHES
from fashionai.tasks import tasks_to_json
from fashionai.training.learners.learner import Learner
from fashionai.training.learners.opening import open_learner
from fashionai.training.records.history import rank, scores_in_row

log = logging.getLogger(__name__)

# After so many batches, less than 1 % of statistics with the usual momentum of 0.9 is left.
STATISTICS_STEPS = 50
# What decides the images and the network's input, and thus whether scores can be compared.
SHARED_KEYS = (
    *("task", "model.name", "data.folder", "data.folds_file", "data.fold"),
    *("data.crop", "data.resize_short", "data.mean", "data.std"),
)

Weights = Mapping[str, np.ndarray]


class Ingredient(NamedTuple):
    """A run, its validation scores by name, and whether it is part of the average."""

    run: Run
    scores: Mapping[str, float]
    taken: bool


class Soup(NamedTuple):
    """The folder of the averaged network, its validation scores, and the runs, the best first."""

    folder: RunFolder
    scores: Mapping[str, float]
    ingredients: list[Ingredient]


class _Scored(NamedTuple):
    """Weights as they are validated, with the scores, all from the learner."""

    weights: Weights
    scores: Mapping[str, float]


def make_soup(
    paths: Sequence[Path],
    out: Path,
    contexts: Sequence[Any],
    *,
    method: str = GREEDY,
    overwrite: bool = False,
    progress: ProgressBar = no_bar,
) -> Soup:
    """Average the best weights of runs, and write them as a run of their own to ``out``.

    ``uniform`` averages all runs. ``greedy`` begins with the best one by validation score, and
    takes each of the others, the best first, if the score of the average does not fall (recipe 1
    of the paper). The score is the ``monitor`` of the first run, and equal scores are ranked by
    the loss. Running statistics of batch normalisation are estimated again for each average: those
    of the runs are of other activations.

    Raises RunError for runs that do not share their beginning, network, classes or images, and
    for a folder that is taken, and errors of open_runs and open_learner.
    """
    runs = open_runs(paths)
    _check_place(out, runs, overwrite)
    check_averageable(runs)
    config = _for_scoring(runs)
    scorer = _Scorer(config, runs, contexts)
    count = len(runs) + (1 if method == UNIFORM else len(runs) - 1)
    with progress("scoring networks", count, "networks") as advance:
        scored = []
        for run in runs:
            scored.append((run, scorer.scores_of(run)))
            advance(1)
        scored.sort(key=lambda pair: scorer.rank(pair[1]), reverse=True)
        taken, result = scorer.average(scored, method, advance)
    ingredients = [Ingredient(run, scores, run in taken) for run, scores in scored]
    if overwrite:
        remove_run(out)
    soup = Soup(create_run(out, exactly=True), result.scores, ingredients)
    _write(soup, runs[0], result.weights, method)
    return soup


def check_averageable(runs: Sequence[Run]) -> None:
    """Raise RunError unless runs have one beginning, network, classes, images and input."""
    first, *others = runs
    if not others:
        raise RunError(f"{first}: is one run, expected several to average")
    for run in others:
        for key in SHARED_KEYS:
            one, other = (_value(each.config, key) for each in (first, run))
            if one != other:
                raise RunError(
                    f"{run}: {key} is {other}, and that of {first} is {one}", _hint_at_folds(key)
                )
        if run.tasks != first.tasks:
            raise RunError(f"{run} and {first} were trained on different classes")
        if _beginning(run) != _beginning(first):
            raise RunError(
                f"{run} and {first} began with different weights, so they cannot be averaged",
                f"Train both from one run, for example model.pretrained={first.weights_file}",
            )


def _hint_at_folds(key: str) -> str:
    """Why runs that differ in a key of folds cannot be averaged, and what to do."""
    if key not in ("data.fold", "data.folds_file"):
        return ""
    return (
        "Each fold has seen the validation images of the others; average runs of one fold, or "
        "give all folds to predict, which averages their probabilities"
    )


def _value(config: Config, key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    return value


def _beginning(run: Run) -> str:
    """What identifies the weights that a run began with."""
    recorded = run.metrics.get(INITIAL_WEIGHTS)
    if recorded is not None:
        return str(recorded)
    model = run.config.model
    log.warning("%s: its initial weights are not recorded; model.* and seed stand for them", run)
    return f"{model.pretrained} {model.init_magnitude} {run.config.seed}"


def _check_place(out: Path, runs: Sequence[Run], overwrite: bool) -> None:
    """Raise RunError for a folder whose content is not to be replaced: of a run, or the user's."""
    try_folder("--out", out)
    place = out.resolve()
    for run in runs:
        own = run.path.resolve()
        if own == place:
            raise RunError(f"{out}: is one of the runs to average", "Name another --out")
        if place in own.parents:
            raise RunError(f"{out}: holds {run}, one of the runs to average", "Name another --out")
    if not holds_run(out):
        check_free(out, "--out")
    elif not overwrite:
        raise RunError(f"{out}: holds a run already", "Name another --out, or give --overwrite")
    else:
        check_removable(out)


def _for_scoring(runs: Sequence[Run]) -> Config:
    """The configuration of runs without what training alone needs, for any framework and device.

    The layers whose statistics estimate_statistics finds are those that learnt in the end in any
    of the runs. The seed, which decides its batches, does not depend on the run.
    """
    phases = [run.config.phases[-1] for run in runs]
    widest = max(phases, key=lambda phase: TRAINABLE.index(phase.trainable))
    return (
        runs[0]
        .config.in_phase(widest)
        .changed(
            {
                **{"engine": "auto", "precision": "float32", "compile": False, "ema": None},
                **{"sync_batch_norm": False, "accumulate": 1, "seed": 0},
                **{"data.sizes": [], "data.soft_targets": None},
            }
        )
    )


class _Scorer:
    """The learner that scores weights on the validation images of the runs."""

    def __init__(self, config: Config, runs: Sequence[Run], contexts: Sequence[Any]) -> None:
        train, self._val = read_samples(config, "train", pseudo=True), read_samples(config, "val")
        for run in runs:
            warn_of_changed_data(run)
            for task in self._val.tasks:
                check_task(run, task)
        self._monitor = reported_score(config.monitor)
        self._learner = open_learner(config, train, contexts, True, pixels_only=True).learner

    def rank(self, scores: Mapping[str, float]) -> tuple[float, float]:
        """The key by which networks are ranked, the best one largest."""
        return rank(scores_in_row("val", scores), self._monitor, "val")

    def scores_of(self, run: Run) -> Mapping[str, float]:
        """The scores of the weights that a run predicts with; errors as for Run.check_weights."""
        run.check_weights()
        with self._learner.clear_errors(), self._learner.loaded(run.weights_file):
            return self._learner.scores(self._val)

    def average(
        self, ranked: Sequence[tuple[Run, Mapping[str, float]]], method: str, advance: Advance
    ) -> tuple[list[Run], _Scored]:
        """The runs that are averaged, of those given from the best to the worst, and the result."""
        if method == UNIFORM:
            taken = [run for run, _ in ranked]
            result = self._score_mean(taken)
            advance(1)
            return taken, result
        (best, scores), *others = ranked
        taken, result = [best], _Scored(read_array_list(best.weights_file), scores)
        for run, _ in others:
            candidate = self._score_mean([*taken, run])
            if self.rank(candidate.scores) >= self.rank(result.scores):
                taken, result = [*taken, run], candidate
            advance(1)
        return taken, result

    def _score_mean(self, runs: Sequence[Run]) -> _Scored:
        mean = mean_weights([run.weights_file for run in runs])
        with tempfile.TemporaryDirectory(prefix="fashionai-") as scratch:
            file = Path(scratch) / "mean.params"
            write_array_list(file, mean)
            with self._learner.clear_errors(), self._learner.loaded(file):
                if any(name.endswith(STATISTICS) for name in mean):
                    estimate_statistics(self._learner)
                return _Scored(self._learner.parameters(), self._learner.scores(self._val))


def mean_weights(files: Sequence[Path]) -> dict[str, np.ndarray]:
    """The mean of the arrays of files of weights, name by name, computed in float64."""
    sums: dict[str, np.ndarray] = {}
    types: dict[str, np.dtype] = {}
    for file in files:
        for name, values in read_array_list(file).items():
            sums[name] = sums.get(name, 0.0) + values.astype(np.float64)
            types[name] = values.dtype
    return {name: (total / len(files)).astype(types[name]) for name, total in sums.items()}


def estimate_statistics(learner: Learner, steps: int = STATISTICS_STEPS) -> None:
    """Let the running statistics of batch normalisation become those of the current weights.

    They are updated by training steps on the augmented training images, as in every training; with
    a learning rate of 0 the steps leave the weights as they are.
    """
    batches = itertools.chain.from_iterable(map(learner.batches, itertools.count()))
    for step, batch in enumerate(itertools.islice(batches, steps)):
        learner.step(batch, 0, step, 0.0, 0.0).read()
    learner.average_statistics()


def _write(soup: Soup, first: Run, weights: Weights, method: str) -> None:
    """Write the folder; the configuration, which tells that a run has begun, is last."""
    folder = soup.folder
    with locked_run(folder):
        with atomic_path(folder.best_parameters) as temporary:
            write_array_list(temporary, weights)
        write_json(folder.classes_file, tasks_to_json(list(first.tasks)))
        write_json(folder.metrics_file, _metrics(soup, first, method))
        save_config(first.config, folder.config_file)


def _metrics(soup: Soup, first: Run, method: str) -> dict[str, Any]:
    """The content of metrics.json; ``soup`` has what the runs were and scored."""
    taken = [each.run for each in soup.ingredients if each.taken]
    one_task = len(first.tasks) == 1
    weights = soup.folder.best_parameters
    return {
        "finished": True,
        "epochs": sum(int(run.metrics.get("epochs", 0)) for run in taken),
        "averaged_runs": len(taken),
        "monitor": first.config.monitor,
        "weights": weights.name,
        "best": _of_task(soup.scores),
        "tasks": {
            task.name: _of_task(soup.scores, "" if one_task else f"{task.short_name}.")
            for task in first.tasks
        },
        "seconds": sum(run.metrics.get("seconds", 0.0) for run in taken),
        WEIGHTS_HASHES: {weights.name: file_hash(weights)},
        **{name: first.metrics[name] for name in BEGINNING if name in first.metrics},
        "data_hash": data_hash(first.config),
        "soup": {"method": method, "runs": dict(_described(soup.ingredients))},
    }


def _of_task(scores: Mapping[str, float], prefix: str = "") -> dict[str, float]:
    return {name: scores[f"{prefix}{name}"] for name in SCORE_NAMES}


def _described(ingredients: Sequence[Ingredient]) -> Iterator[tuple[str, dict[str, Any]]]:
    for run, scores, taken in ingredients:
        yield (
            str(run),
            {"taken": taken, "sha256": file_hash(run.weights_file), **_of_task(scores)},
        )
