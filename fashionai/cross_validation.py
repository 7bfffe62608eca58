"""Cross-validation: one run per fold, and out-of-fold predictions of every image."""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from fashionai.config import Config, load_config, reported_score, save_config
from fashionai.datasets.prepared.folds import write_folds
from fashionai.datasets.prepared.samples import Samples, data_hash, read_samples
from fashionai.errors import (
    ConfigError,
    RunError,
    RunStoppedError,
    counted,
    shown_value,
)
from fashionai.files import write_json, write_text
from fashionai.files.default_folders import RUNS_FOLDER
from fashionai.files.formats.yaml_files import dump_yaml, load_yaml
from fashionai.files.paths import PathLike
from fashionai.fold_plan import Folds, FoldSettings, plan_folds
from fashionai.frameworks.choice import choose_devices
from fashionai.frameworks.devices import TORCH, framework_of_devices
from fashionai.models.catalogue import find_network
from fashionai.pipeline.crop_counts import CROP_COUNTS
from fashionai.predictions.formats import (
    PredictedRow,
    probability_format,
    source_names,
    write_predictions,
)
from fashionai.progress import ProgressBar
from fashionai.reporting.plots import draw_folds, draw_history
from fashionai.runs import (
    BASE_CONFIG_FILE,
    CROSS_VALIDATION_FILE,
    FOLDS_FILE,
    MOST_FOLDS,
    OUT_OF_FOLD_FILE,
    SCORES_FILE,
    Run,
    RunFolder,
    beginning,
    deciding_differences,
    find_folds,
    learnt_tasks,
    locked_run,
    remove_free_lock,
    remove_mark_of_beginning,
    remove_run,
)
from fashionai.tasks import columns_of
from fashionai.training.batches.class_balance import class_weights
from fashionai.training.learners.engine_choice import check_engine, wanted_engine
from fashionai.training.parallel import train_side_by_side
from fashionai.training.records.messages import device_options
from fashionai.training.records.observers import check_logs
from fashionai.training.speed.estimate import duration
from fashionai.training.speed.threads import choose_threads
from fashionai.training.start import (
    check_overwrite,
    check_same_beginning,
    config_input,
    input_files,
    new_folder,
    train_or_resume,
)

if TYPE_CHECKING:
    from fashionai.scoring.out_of_fold import OutOfFoldScores

log = logging.getLogger(__name__)


class CrossValidation:
    """The folder of a cross-validation, with one run per fold.

    Files: cross_validation.yaml (FoldSettings), config.base.yaml, folds.csv, fold-1/ and
    so on (runs), out_of_fold.csv, scores.json, and curves.png here and in every run.

    Args:
        path: Folder of the cross-validation. ``fashionai.cross_validation.open_cross_validation``
            begins or resumes one.
        contexts: Devices to train and predict on, by default those that choose_devices gives.

    Example:
        >>> cross_validation = fashionai.CrossValidation("runs/skirt-folds")
        >>> scores = json.loads(cross_validation.scores_file.read_text())
    """

    def __init__(self, path: PathLike, contexts: Sequence[Any] = ()) -> None:
        self.path = path = Path(path)
        self.contexts = list(contexts)
        self.settings_file = path / CROSS_VALIDATION_FILE
        self.config_file = path / BASE_CONFIG_FILE
        self.folds_file = path / FOLDS_FILE
        self.predictions_file = path / OUT_OF_FOLD_FILE
        self.scores_file = path / SCORES_FILE
        self.plot_file = path / "curves.png"

    @property
    def has_begun(self) -> bool:
        """Whether the folder holds a cross-validation that can be resumed."""
        return self.settings_file.is_file()

    @property
    def crops(self) -> int:
        """Crops per held-out image; errors as for run."""
        return int(self._read_settings()["crops"])

    def begin(self, config: Config, settings: FoldSettings, folds: Folds) -> None:
        """Write the configuration, the folds and then the settings, which mark it as begun."""
        stored = {**settings._asdict(), "data": data_hash(config)}
        with self._locked(), beginning(self.path):
            save_config(config, self.config_file)
            write_folds(self.folds_file, *folds)
            write_text(self.settings_file, dump_yaml(stored))

    def check_resume(
        self,
        config: Optional[Config],
        overrides: Sequence[str],
        given: Mapping[str, Any],
    ) -> Config:
        """Check that configuration, settings and data are the same as at the beginning.

        Returns the configuration, in which the number of decoding threads may differ. Raises
        RunError for any other difference.
        """
        if not self.has_begun:
            raise RunError(
                f"{self.path}: not a cross-validation ({CROSS_VALIDATION_FILE} not found)",
                "Start one with --config",
            )
        stored = self._read_settings()
        saved = self._read_config()
        wanted = (config or self._read_config(overrides)).with_engine_of(saved)
        wanted = wanted.with_input_of(saved)
        different = deciding_differences(saved, wanted)
        for name, value in given.items():
            if value is not None and value != stored.get(name):
                different.append(f"{name}: {stored.get(name)}, not {value}")
        check_same_beginning(self.path, different, stored.get("data"), wanted)
        return wanted

    def resume(self, config: Config) -> None:
        """Save the configuration to go on with, after every check: a refusal changes no file."""
        with self._locked():
            remove_mark_of_beginning(self.path)
            save_config(config, self.config_file)

    def run(self, progress: ProgressBar, *, batch_size: int = 16) -> OutOfFoldScores:
        """Train the folds that are not finished, predict and score the held-out images.

        ``batch_size`` is the number of images per device in predictions. A cross-validation
        that was interrupted at any moment and resumed ends with the same files. Raises
        RunStoppedError when the user stops it; the state is then saved. Raises RunError when
        another process computes the same cross-validation.
        """
        with self._locked():
            return self._run(progress, batch_size)

    def _run(self, progress: ProgressBar, batch_size: int) -> OutOfFoldScores:
        # Imported here, as below: it imports MXNet, which then starts its threads.
        from fashionai.scoring.out_of_fold import score_folds

        config, crops = self._read_config(), self.crops
        self.contexts = self.contexts or choose_devices(wanted_engine(config)).contexts
        count = len(self._begun_runs)
        configs = [self._fold_config(config, number) for number in range(1, count + 1)]
        runs = self._train_folds(configs)
        draw_folds([run.folder for run in runs], self.plot_file, reported_score(config.monitor))
        held_out = [read_samples(fold_config, "val") for fold_config in configs]
        for run in runs:
            run.check_usable()
        # Always the same engine: the automatic choice may differ after an interruption.
        probabilities = self._predict(
            runs,
            held_out,
            progress,
            crops=crops,
            batch_size=batch_size,
            engine=framework_of_devices(self.contexts),
        )
        scores = score_folds(held_out, probabilities)
        write_json(self.scores_file, scores.to_json())
        return scores

    def _locked(self) -> AbstractContextManager[None]:
        return locked_run(RunFolder(self.path))

    @cached_property
    def _begun_runs(self) -> list[Run]:
        """The runs of all folds as they were when the cross-validation was opened."""
        return [Run(folder) for folder in find_folds(self.path)]

    def _read_config(self, overrides: Sequence[str] = ()) -> Config:
        """The saved configuration; the runs know tasks whose prepared folder was removed."""
        return load_config(self.config_file, overrides, learnt_tasks(self._begun_runs))

    def _read_settings(self) -> dict[str, Any]:
        """The saved settings; RunError for a number of crops that does not exist."""
        stored = load_yaml(self.settings_file)
        crops = stored.get("crops")
        if crops not in CROP_COUNTS:
            expected = ", ".join(map(str, CROP_COUNTS))
            raise RunError(
                f"{self.settings_file}: crops is {shown_value(crops)}, expected one of {expected}"
            )
        return stored

    def _train_folds(self, configs: Sequence[Config]) -> list[Run]:
        """Train the folds that are not finished; return the runs of all folds."""
        if len(self.contexts) > 1 and framework_of_devices(self.contexts) == TORCH:
            return self._train_folds_side_by_side(configs)
        runs = []
        for number, (begun, config) in enumerate(zip(self._begun_runs, configs), start=1):
            log.info("fold %d of %d", number, len(configs))
            is_new, started = not begun.folder.has_begun, time.monotonic()
            try:
                runs.append(self._train_fold(begun, config))
            except RunStoppedError as stopped:
                raise RunStoppedError(
                    f"fold {number} of {len(configs)}: {stopped.message}",
                    f"Resume with: {self._resume_command()}",
                ) from None
            draw_history(begun.folder)
            left = len(configs) - number
            if left and is_new:
                seconds = left * (time.monotonic() - started)
                log.info("about %s for the remaining %s", duration(seconds), counted(left, "fold"))
        return runs

    def _train_folds_side_by_side(self, configs: Sequence[Config]) -> list[Run]:
        """Train the folds that are not finished, each on a GPU of its own."""
        left: dict[Path, Config] = {}
        for begun, config in zip(self._begun_runs, configs):
            if not begun.folder.has_begun:
                begun.path.mkdir(exist_ok=True)
            elif begun.is_finished:
                _report_finished(begun)
                continue
            left[begun.path] = config
        log.info(
            "%s, %d at once; see train.log of each", counted(len(left), "fold"), len(self.contexts)
        )
        try:
            train_side_by_side(left, self.contexts)
        except RunStoppedError as stopped:
            hint = f"Resume with: {self._resume_command()}"
            raise RunStoppedError(stopped.message, hint) from None
        runs = [Run(begun.folder) for begun in self._begun_runs]
        for run in runs:
            draw_history(run.folder)
        return runs

    def _train_fold(self, begun: Run, config: Config) -> Run:
        was_finished = begun.folder.has_begun and begun.is_finished
        run = train_or_resume(begun, config, self.contexts)
        if was_finished:
            _report_finished(run)
        return run

    def _resume_command(self) -> str:
        command = f"fashionai cross-validate --run {shlex.quote(str(self.path))} --resume"
        return command + device_options(self.contexts)

    def _fold_config(self, config: Config, number: int) -> Config:
        return config.changed({"data.folds_file": str(self.folds_file), "data.fold": number})

    def _predict(
        self,
        runs: Sequence[Run],
        held_out: Sequence[Samples],
        progress: ProgressBar,
        **options: Any,
    ) -> list[list[np.ndarray]]:
        """Probabilities of the held-out images, by fold and task; also written to one file."""
        from fashionai.scoring.splits import predict_samples

        total = sum(len(samples.paths) for samples in held_out)
        with progress("predicting held-out images", total) as advance:
            probabilities = [
                predict_samples(samples, run, self.contexts, progress=advance, **options)
                for run, samples in zip(runs, held_out)
            ]
        file_format = probability_format(held_out[0].tasks[0])
        predicted = [
            PredictedRow(image, task, values)
            for head, task in enumerate(held_out[0].tasks)
            for samples, fold in zip(held_out, probabilities)
            for image, values in zip(
                source_names(
                    file_format, task, [samples.sources[i] for i in samples.of_task(head)]
                ),
                fold[head],
            )
        ]
        write_predictions(self.predictions_file, predicted, file_format)
        return probabilities


def _report_finished(fold: Run) -> None:
    """Log that a fold is finished, and remove the lock that a killed process has left in it."""
    remove_free_lock(fold.folder)
    log.info("%s: already finished", fold)


def open_cross_validation(
    config_file: Optional[Path],
    overrides: Sequence[str],
    given: Mapping[str, Any],
    path: Optional[Path],
    device: str,
    gpus: Sequence[int],
    progress: ProgressBar,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> CrossValidation:
    """Begin a cross-validation, or resume one.

    ``given`` are values of FoldSettings; None stands for the default or, when resuming, for
    the saved value. ``device`` and ``gpus`` are as for choose_devices. Raises ConfigError for a
    configuration that is wrong or that the devices cannot compute, RunError when there is
    nothing to resume or when it was begun with another configuration, settings or data.
    """
    config = None if config_file is None else load_config(config_file, overrides)
    if path is None:
        assert config is not None
        path = RUNS_FOLDER / f"{config.run_name}-folds"
    cross_validation = CrossValidation(path)
    if config is None or (resume and cross_validation.has_begun):
        config = cross_validation.check_resume(config, overrides, given)
        runs = find_folds(path)
        choose_threads(config, runs, device, gpus, trainings=len(runs))
        cross_validation.contexts = choose_devices(wanted_engine(config), device, gpus).contexts
        cross_validation.resume(config)
        return cross_validation
    if config.data.fold is not None:
        raise ConfigError("data.fold: cross-validate makes its own folds", "Leave this key out")
    settings = FoldSettings(**{name: value for name, value in given.items() if value is not None})
    if settings.folds > MOST_FOLDS:
        raise ConfigError(f"--folds {settings.folds}: expected at most {MOST_FOLDS}")
    if overwrite:
        check_overwrite(path, [*config_input(config_file), *input_files(config)])
    config = choose_threads(config, (), device, gpus, trainings=settings.folds)
    config, contexts = with_devices(config, device, gpus)
    config = with_input_of_weights(config)
    folds = plan_folds(config, settings, progress)
    if overwrite:
        remove_run(path)
    cross_validation = CrossValidation(new_folder(path, exactly=resume).path, contexts)
    cross_validation.begin(config, settings, folds)
    return cross_validation


def with_devices(config: Config, device: str, gpus: Sequence[int]) -> tuple[Config, list[Any]]:
    """The configuration with the framework that computes on these devices, and the devices."""
    chosen = choose_devices(wanted_engine(config), device, gpus)
    config = config.changed({"engine": chosen.engine})
    check_engine(config, chosen.contexts)
    check_logs(config)
    return config, chosen.contexts


def with_input_of_weights(config: Config) -> Config:
    """The configuration with the input of its weights.

    Builds the network, so that what cannot be trained is refused before a file changes.
    """
    from fashionai.models.zoo import build_network
    from fashionai.weights.pretrained import starting_weights

    train = read_samples(config, "train", pseudo=True)
    classes = columns_of(train.tasks)[-1].stop
    # Before weights are fetched.
    if config.model.pretrained is True:
        find_network(config.model.name)
    class_weights(config.loss.class_weights, train)
    weights = starting_weights(config)
    config = weights.resolve_input(config)
    model, crop = config.model, config.data.crop
    build_network(model.name, classes, crop, weights.file, drop_path=model.drop_path)
    return config
