"""Cross-validation: folds, a run for each, and predictions of every row by a run without it."""

from __future__ import annotations

import gc
import logging
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np
import yaml

from fashionai.config import Config, load_config, save_config
from fashionai.datasets.prepared.check import hash_files
from fashionai.datasets.prepared.folders import PreparedSplit, read_split
from fashionai.datasets.prepared.folds import assign_folds, write_folds
from fashionai.datasets.prepared.samples import Samples, data_hash, read_samples
from fashionai.datasets.prepared.split import join_groups
from fashionai.default_folders import RUNS_FOLDER
from fashionai.errors import ConfigError, RunError, RunStoppedError, TrainingError
from fashionai.files import write_json, write_text
from fashionai.metrics import overall_scores
from fashionai.models.mixed_precision import check_precision
from fashionai.models.zoo import build_network
from fashionai.pipeline.crop_counts import DEFAULT_CROPS
from fashionai.predictions.formats import (
    PredictedRow,
    as_written,
    probability_format,
    source_names,
    write_predictions,
)
from fashionai.progress import ProgressBar
from fashionai.reporting.plots import draw_folds, draw_history
from fashionai.runs import (
    CROSS_VALIDATION_FILE,
    FOLDS_FILE,
    Run,
    RunFolder,
    create_run,
    deciding_differences,
    find_folds,
    learnt_tasks,
    remove_run,
)
from fashionai.scoring.evaluate import TaskEvaluation, evaluate_task
from fashionai.scoring.splits import evaluate_samples, predict_samples
from fashionai.tasks import columns_of
from fashionai.training.trainer import Trainer
from fashionai.weights.pretrained import starting_weights
from fashionai.yaml_files import load_yaml

log = logging.getLogger(__name__)

# Shows progress: called with a description and a total, gives what is called with steps done.


class Settings(NamedTuple):
    """How the folds are made."""

    folds: int = 4
    stratified: bool = True
    grouped_by_content: bool = True
    crops: int = DEFAULT_CROPS


class Folds(NamedTuple):
    """The rows of every task, and the fold from 1 of each, ``(N,) int64``."""

    splits: list[PreparedSplit]
    folds: np.ndarray


class Result(NamedTuple):
    """Scores on held-out rows, task by task: of every fold, and of all rows together."""

    folds: list[list[TaskEvaluation]]
    together: list[TaskEvaluation]

    def overall(self) -> list[dict[str, float]]:
        """Every fold's scores, the mean over tasks."""
        return [overall_scores([task.scores for task in fold]) for fold in self.folds]

    def mean(self) -> dict[str, float]:
        """The mean of every score over folds."""
        scores = self.overall()
        return {name: float(np.mean([fold[name] for fold in scores])) for name in scores[0]}

    def deviation(self) -> dict[str, float]:
        """The standard deviation of every score over folds (of a sample: n - 1)."""
        scores = self.overall()
        return {name: float(np.std([fold[name] for fold in scores], ddof=1)) for name in scores[0]}


class CrossValidation:
    """A folder with settings, folds, a run for each fold, and what they have in common.

    Files: cross_validation.yaml, config.base.yaml, folds.csv, fold-1/ and so on
    (each a run), out_of_fold.csv, scores.json, curves.png here and in every fold.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings_file = path / CROSS_VALIDATION_FILE
        self.config_file = path / "config.base.yaml"
        self.folds_file = path / FOLDS_FILE
        self.predictions_file = path / "out_of_fold.csv"
        self.scores_file = path / "scores.json"
        self.plot_file = path / "curves.png"

    @property
    def has_begun(self) -> bool:
        """Whether there is something to go on with."""
        return self.settings_file.is_file()

    def begin(self, config: Config, settings: Settings, folds: Folds) -> None:
        """Write configuration, folds and, last, the settings that tell it has begun."""
        save_config(config, self.config_file)
        write_folds(self.folds_file, *folds)
        begun = {**settings._asdict(), "data": data_hash(config)}
        write_text(self.settings_file, yaml.safe_dump(begun, sort_keys=False))

    def go_on(
        self,
        config: Optional[Config],
        overrides: Sequence[str],
        given: Mapping[str, Any],
    ) -> None:
        """RunError unless configuration, settings and data are those it was begun with.

        The number of decoding threads may differ: it is taken over.
        """
        if not self.has_begun:
            raise RunError(
                f"{self.path}: not a cross-validation (no {CROSS_VALIDATION_FILE})",
                "Begin one with --config",
            )
        wanted = config or self._read_config(overrides)
        first = self._read_config()
        wanted = wanted.with_input(first.data.mean, first.data.std)
        different = deciding_differences(first, wanted)
        begun = load_yaml(self.settings_file)
        for name, value in given.items():
            if value is not None and value != begun.get(name):
                different.append(f"{name}: {begun.get(name)}, not {value}")
        if different:
            raise RunError(
                f"{self.path}: was begun with other settings ({'; '.join(different)})",
                "Resume without them, or start anew with --overwrite or another --run",
            )
        if begun.get("data") != data_hash(wanted):
            raise RunError(
                f"{self.path}: the prepared folder has changed since it was begun",
                "Prepare it as it was, or start anew with --overwrite or another --run",
            )
        save_config(wanted, self.config_file)

    def run(self, contexts: list[Any], progress: ProgressBar, *, batch_size: int = 16) -> Result:
        """Train every fold that is not finished, predict the held-out rows, score and draw.

        ``batch_size`` is that of fashionai.predictions.predict.predict. Interrupted
        anywhere, it goes on where it was and ends with the same files. Raises
        RunStoppedError, with the state saved, when the user stops it.
        """
        config = self._read_config()
        crops = load_yaml(self.settings_file)["crops"]
        folders = find_folds(self.path)
        configs = [self._fold_config(config, number) for number in range(1, len(folders) + 1)]
        for number, (folder, fold_config) in enumerate(zip(folders, configs), start=1):
            log.info("fold %d of %d", number, len(folders))
            try:
                self._train_fold(folder, fold_config, contexts)
            except RunStoppedError as stopped:
                raise RunStoppedError(
                    f"fold {number} of {len(folders)}: {stopped.message}",
                    f"Resume with: {self._resume_command(contexts)}",
                ) from None
            draw_history(folder)
        draw_folds(folders, self.plot_file, config.monitor)
        held_out = [read_samples(fold_config, "val") for fold_config in configs]
        # One engine: which is the fastest may be found out between an interruption and going on.
        answers = self._predict(
            *([Run.open(folder.path) for folder in folders], held_out, contexts, progress),
            crops=crops,
            batch_size=batch_size,
            engine="gluon",
        )
        return self._score(held_out, answers)

    def _read_config(self, overrides: Sequence[str] = ()) -> Config:
        """What it was begun with; of tasks whose folder is gone the runs know."""
        known = learnt_tasks([Run(folder) for folder in find_folds(self.path)])
        return load_config(self.config_file, overrides, known)

    def _train_fold(self, folder: RunFolder, config: Config, contexts: list[Any]) -> None:
        begun = Run(folder) if folder.has_begun else None
        if begun is not None:
            begun.check_same_config(config)
            if begun.is_finished:
                log.info("%s: already finished", folder)
                return
        folder.path.mkdir(exist_ok=True)
        Trainer(config, contexts, begun).fit(folder)
        # Gluon's blocks refer to each other: without this the network would keep its memory on
        # the device while the next fold is trained.
        gc.collect()

    def _resume_command(self, contexts: list[Any]) -> str:
        gpus = ",".join(str(each.device_id) for each in contexts if each.device_type == "gpu")
        command = f"fashionai cross-validate --run {shlex.quote(str(self.path))} --resume"
        return command + (f" --gpus {gpus}" if gpus else "")

    def _fold_config(self, config: Config, number: int) -> Config:
        return config.changed({"data.folds_file": str(self.folds_file), "data.fold": number})

    def _predict(
        self,
        runs: Sequence[Run],
        held_out: Sequence[Samples],
        contexts: list[Any],
        progress: ProgressBar,
        **options: Any,
    ) -> list[list[np.ndarray]]:
        """Probabilities of every fold's rows by task, also written to one file."""
        with progress("predicting held-out rows", sum(len(r.paths) for r in held_out)) as advance:
            answers = [
                predict_samples(rows, run, contexts, progress=advance, **options)
                for run, rows in zip(runs, held_out)
            ]
        file_format = probability_format(held_out[0].tasks[0])
        predicted = [
            PredictedRow(image, task, values)
            for head, task in enumerate(held_out[0].tasks)
            for rows, fold in zip(held_out, answers)
            for image, values in zip(
                source_names(file_format, task, [rows.sources[row] for row in rows.of_task(head)]),
                fold[head],
            )
        ]
        write_predictions(self.predictions_file, predicted, file_format)
        return answers

    def _score(
        self, held_out: Sequence[Samples], answers: Sequence[Sequence[np.ndarray]]
    ) -> Result:
        together = [
            evaluate_task(
                task,
                as_written(np.concatenate([fold[head] for fold in answers])),
                np.concatenate([rows.marks_of(head) for rows in held_out]),
            )
            for head, task in enumerate(held_out[0].tasks)
        ]
        result = Result([evaluate_samples(*fold) for fold in zip(held_out, answers)], together)
        write_json(
            self.scores_file,
            {
                "mean": result.mean(),
                "standard_deviation": result.deviation(),
                "together": {each.task.name: each.scores for each in result.together},
                "folds": [
                    {each.task.name: {"n": each.rows, **each.scores} for each in fold}
                    for fold in result.folds
                ],
            },
        )
        return result


def plan_folds(config: Config, settings: Settings, progress: ProgressBar) -> Folds:
    """Choose a fold for every training and validation row.

    Raises TrainingError for a task whose images do not fill the folds, DataError
    for images that a prediction file could not tell apart.
    """
    folder = Path(config.data.folder)
    splits = [read_split(folder / name, "train", "val") for name in config.task_names]
    paths = [path for split in splits for path in split.paths]
    contents = [f"{split.task.name}/{path.name}" for split in splits for path in split.paths]
    if settings.grouped_by_content:
        with progress("comparing images", len(paths)) as advance:
            contents = hash_files(paths, advance)
    contents = join_groups(contents, [group for split in splits for group in split.groups])
    strata = np.zeros(len(paths), np.int64)
    if settings.stratified:
        columns = columns_of([split.task for split in splits])
        strata = np.concatenate([s.class_indices + c.start for s, c in zip(splits, columns)])
    folds = assign_folds(strata.tolist(), contents, settings.folds, config.seed)
    ends = np.cumsum([len(split.paths) for split in splits])
    for split, part in zip(splits, np.split(folds, ends[:-1])):
        source_names(probability_format(split.task), split.task, split.sources)
        if len(np.unique(part)) < settings.folds:
            raise TrainingError(
                f"{split.task.name}: its {len(part)} images do not fill {settings.folds} folds",
                "Give fewer --folds",
            )
    return Folds(splits, folds)


def open_cross_validation(
    config_file: Optional[Path],
    overrides: Sequence[str],
    given: Mapping[str, Any],
    path: Optional[Path],
    contexts: Sequence[Any],
    progress: ProgressBar,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> CrossValidation:
    """Begin a cross-validation, or go on with one; ``given`` are Settings or None for default.

    Raises ConfigError for a wrong configuration or one that ``contexts`` cannot
    compute, RunError when there is nothing to resume or what is there was begun
    in another way.
    """
    config = None if config_file is None else load_config(config_file, overrides)
    if config is not None:
        check_precision(config.precision, contexts)
    if path is None:
        assert config is not None
        path = RUNS_FOLDER / f"{config.run_name}-folds"
    work = CrossValidation(path)
    if config is None or (resume and work.has_begun):
        work.go_on(config, overrides, given)
        return work
    if config.data.fold is not None:
        raise ConfigError("data.fold: cross-validate makes the folds, leave it out")
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    # What cannot be trained is refused before anything is written or removed.
    classes = columns_of(read_samples(config, "train").tasks)[-1].stop
    weights = starting_weights(config)
    config = config.with_input(weights.mean, weights.std)
    build_network(config.model.name, classes, config.data.crop, weights.file)
    folds = plan_folds(config, settings, progress)
    if overwrite:
        remove_run(path)
    work = CrossValidation(create_run(path).path)
    if work.path != path:
        log.info("%s is taken, this is %s (--resume or --overwrite: %s)", path, work.path, path)
    work.begin(config, settings, folds)
    return work
