"""The folder of a study: its settings, its trials, and how it is begun and resumed."""

from __future__ import annotations

import contextlib
import logging
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Optional

from fashionai.config import Config, load_config, save_config
from fashionai.config.models import LAST
from fashionai.cross_validation import with_devices, with_input_of_weights
from fashionai.datasets.prepared.folds import write_folds
from fashionai.datasets.prepared.samples import data_hash
from fashionai.errors import RunError, shown_value
from fashionai.files import write_text
from fashionai.files.formats.yaml_files import dump_yaml, load_yaml
from fashionai.files.locks import LOCK_FILE, locked
from fashionai.files.outputs import try_folder
from fashionai.fold_plan import Folds, FoldSettings, plan_folds
from fashionai.frameworks.choice import choose_devices
from fashionai.frameworks.devices import TORCH, framework_of_devices
from fashionai.progress import ProgressBar
from fashionai.runs import (
    BASE_CONFIG_FILE,
    FOLDS_FILE,
    SPACE_FILE,
    STUDY_FILE,
    RunFolder,
    beginning,
    deciding_differences,
    has_not_begun,
    remove_mark_of_beginning,
    remove_run,
)
from fashionai.training.learners.engine_choice import wanted_engine
from fashionai.training.speed.threads import choose_threads
from fashionai.training.start import (
    FILE_KEYS,
    check_overwrite,
    check_same_beginning,
    config_input,
    input_files,
    new_folder,
)
from fashionai.tuning.best_file import check_file, default_file, name_to_keep, replaceable
from fashionai.tuning.budget import NO_BUDGET, Budget
from fashionai.tuning.settings import (
    BEST_FILE,
    Given,
    Settings,
    check_budget,
    new_settings,
    read_best_file,
    read_budget,
    read_settings,
)
from fashionai.tuning.spaces.files import dump_space, read_space
from fashionai.tuning.spaces.planned import not_a_search, planned_space, study_folder
from fashionai.tuning.spaces.space import Choices, Params, Space
from fashionai.tuning.storage import Storage, check_installed
from fashionai.tuning.timing import trial_seconds, warn_of_a_long_trial

log = logging.getLogger(__name__)

TRIALS_FILE = "trials.sqlite"
# The key of tune.yaml for the hash of the user's file that the best configuration may replace.
REPLACES = "replaces"
SECONDS_BETWEEN_TRIES = 0.05


@dataclass(frozen=True)
class Study:
    """A study that has begun: a search for hyper-parameters whose trials are runs.

    Files: tune.yaml (Settings), config.base.yaml, space.yaml, folds.csv where folds are used,
    trials.sqlite, and a run per trial and fold.

    Args:
        path: Folder of the study.
        config: The user's configuration, which is the first trial.
        settings: What all trials have in common.
        contexts: Devices to train on.
        best_file: The file that gets the best configuration.
        resume_options: The options of the command that resumes it, but for the GPUs.
        budget: What ends the search: what was given last.
    """

    path: Path
    config: Config
    settings: Settings
    contexts: Sequence[Any]
    best_file: Path
    resume_options: str = ""
    budget: Budget = NO_BUDGET

    @cached_property
    def space(self) -> Space:
        """The search space."""
        return read_space(self.path / SPACE_FILE, self.config, is_checked=True)

    @cached_property
    def storage(self) -> Storage:
        """The trials; RunError for a damaged file, and for trials of another search space."""
        objectives, folds, sampler, pruner = self.settings
        steps = self.config.epochs * (folds or 1)
        file, seed = self.path / TRIALS_FILE, self.config.seed
        storage = Storage(file, objectives, sampler, pruner, steps, seed)
        storage.check_space(self.space, self.path / SPACE_FILE)
        return storage

    @property
    def score(self) -> str:
        """The score that trials are pruned by."""
        return self.settings.score

    @property
    def resume_command(self) -> str:
        """The command that goes on with the study."""
        gpus = ",".join(str(each.device_id) for each in self.contexts if each.device_type == "gpu")
        command = f"fashionai tune --run {shlex.quote(str(self.path))} --resume"
        return command + self.resume_options + (f" --gpus {gpus}" if gpus else "")

    def config_of(self, number: int, params: Params) -> Config:
        """The configuration of a trial; that of the first one is the user's."""
        return self.space.config_of(self.config, params) if number else self.config

    def runs_of(self, number: int, config: Config) -> list[tuple[RunFolder, Config]]:
        """The runs of a trial with this configuration: one, or one per fold."""
        return self.runs_named(f"trial-{number}", config, self.path / FOLDS_FILE)

    def runs_named(
        self, name: str, config: Config, folds_file: Path
    ) -> list[tuple[RunFolder, Config]]:
        """The run of this name, or one per fold of a file.

        The test split chooses nothing here, so its scores are not worth their time.
        """
        config = config.changed({"evaluate_test": "never"})
        if self.settings.folds is None:
            return [(RunFolder(self.path / name), config)]
        return [
            (
                RunFolder(self.path / f"{name}-fold-{fold}"),
                config.changed({"data.folds_file": str(folds_file), "data.fold": fold}),
            )
            for fold in range(1, self.settings.folds + 1)
        ]

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the study, which other processes hold only for a moment."""
        with contextlib.ExitStack() as stack:
            while not _enter(stack, self.path / LOCK_FILE):
                time.sleep(SECONDS_BETWEEN_TRIES)
            yield

    def try_lock(self, name: str, stack: contextlib.ExitStack) -> bool:
        """Hold the lock of a trial until the stack is closed; False if another process does."""
        return _enter(stack, self.path / f".{name}.lock")

    def remove_free_locks(self) -> None:
        """Remove the lock files of trials that killed processes have left."""
        with self.locked():
            for file in self.path.glob(".*.lock"):
                with contextlib.ExitStack() as stack:
                    _enter(stack, file)


def _enter(stack: contextlib.ExitStack, file: Path) -> bool:
    try:
        stack.enter_context(locked(file, RunError(f"{file}: is locked by another process")))
    except RunError:
        return False
    return True


def open_study(
    given: Given,
    path: Optional[Path],
    device: str,
    gpus: Sequence[int],
    progress: ProgressBar,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> Study:
    """Begin a study in the folder ``path``, by default runs/TASK-tune, or resume it.

    ``device`` and ``gpus`` are as for choose_devices. Raises InstallationError without Optuna,
    ConfigError for a configuration, a space or a file of the best configuration that is wrong,
    RunError when there is nothing to resume, or when it was begun with another configuration,
    other settings or other data.
    """
    check_installed()
    config = None if given.config_file is None else load_config(given.config_file, given.overrides)
    path = study_folder(path, config)
    if config is None or (resume and (path / STUDY_FILE).is_file()):
        return _resumed(path, config, given, device, gpus, overwrite)
    check_budget(given.budget, path)
    settings = new_settings(given, config)
    config = _with_objective(config, settings)
    best_file = _checked_file(given.best_file or default_file(config), given, overwrite)
    replaced = replaceable(best_file) if overwrite else None
    # Before anything is measured:
    _check_folder(path, resume)
    own_space = Space(()) if given.space_file is None else read_space(given.space_file, config)
    if overwrite:
        check_overwrite(path, _input_files(given, config, own_space))
    config = choose_threads(config, [], device, gpus)
    config, contexts = with_devices(config, device, gpus)
    contexts = _of_one_process(contexts)
    with_input_of_weights(config)  # refuses what cannot be trained
    limited = given.seconds is not None
    estimate = trial_seconds(config, contexts, settings.folds) if limited else None
    warn_of_a_long_trial(given.seconds, estimate)
    space = planned_space(config, given, estimate)
    folds = None
    if settings.folds is not None:
        folds = plan_folds(config, FoldSettings(settings.folds), progress)
    if overwrite:
        remove_run(path)
    if resume:
        path.mkdir(parents=True, exist_ok=True)  # another process may begin the same study
    else:
        path = new_folder(path, exactly=False).path
    options = given.resume_options(device)
    study = Study(path, config, settings, contexts, best_file, options, given.budget)
    if _write_beginning(study, space, folds, replaced):
        return study
    return _resumed(path, config, given, device, gpus, overwrite)


def _write_beginning(
    study: Study, space: Space, folds: Optional[Folds], replaced: Optional[str]
) -> bool:
    """Write the files that a study begins with; False where another process has begun it.

    ``replaced`` is the hash of the user's file that the best configuration may replace, see
    replaceable.
    """
    with study.locked():
        if (study.path / STUDY_FILE).is_file():
            return False
        stored = {**study.settings._asdict(), "data": data_hash(study.config)}
        stored |= _latest(study)
        if replaced is not None:
            stored[REPLACES] = replaced
        with beginning(study.path):
            save_config(study.config, study.path / BASE_CONFIG_FILE)
            write_text(study.path / SPACE_FILE, dump_space(space))
            if folds is not None:
                write_folds(study.path / FOLDS_FILE, *folds)
            write_text(study.path / STUDY_FILE, dump_yaml(stored))
    return True


def _check_folder(path: Path, resume: bool) -> None:
    """DataError or RunError for a folder that a study cannot be written to."""
    try_folder("--run", path)
    # In this order: another process may begin the study in between.
    if resume and path.exists() and not (has_not_begun(path) or (path / STUDY_FILE).is_file()):
        raise RunError(f"{path}: holds other files than those of a search", "Name another --run")


def _input_files(given: Given, config: Config, space: Space) -> list[tuple[str, Any]]:
    """The options and keys that name files or folders which a search reads, with their values.

    ``space`` is that of --space: each of its choices may name one.
    """
    domains = [(each.key, each.domain) for each in space if each.key in FILE_KEYS]
    choices = [(key, domain) for key, domain in domains if isinstance(domain, Choices)]
    values = [(key, value) for key, domain in choices for value in domain.values.values()]
    spaces = [] if given.space_file is None else [("--space", str(given.space_file))]
    return [*config_input(given.config_file), *spaces, *input_files(config), *values]


def _resumed(
    path: Path,
    config: Optional[Config],
    given: Given,
    device: str,
    gpus: Sequence[int],
    overwrite: bool,
) -> Study:
    """The study in a folder, as it was begun."""
    file = path / STUDY_FILE
    if not file.is_file():
        raise not_a_search(path)
    stored = load_yaml(file)
    settings = read_settings(file, stored)
    saved = load_config(path / BASE_CONFIG_FILE)
    wanted = load_config(path / BASE_CONFIG_FILE, given.overrides) if config is None else config
    wanted = _with_objective(wanted, settings).with_engine_of(saved)
    different = deciding_differences(saved, wanted)
    for name, value in settings._asdict().items():
        wish = getattr(given, name)
        if wish is not None and wish != value:
            different.append(f"{name}: {shown_value(value)}, not {shown_value(wish)}")
    if given.space_file is not None:
        space = dump_space(read_space(given.space_file, saved))
        if space != (path / SPACE_FILE).read_text(encoding="utf-8"):
            different.append(f"the search space of {given.space_file}")
    check_same_beginning(path, different, stored.get("data"), saved)
    best_file = given.best_file or read_best_file(file, stored) or default_file(saved)
    _checked_file(best_file, given, overwrite, stored)
    choose_threads(saved, _runs_with_states(path), device, gpus)
    contexts = _of_one_process(choose_devices(wanted_engine(saved), device, gpus).contexts)
    budget = given.budget if any(given.budget) else read_budget(file, stored)
    check_budget(budget, path)
    options = given.resume_options(device)
    study = Study(path, saved, settings, contexts, best_file, options, budget)
    _keep_latest(study)
    return study


def _latest(study: Study) -> dict[str, Any]:
    """What tune.yaml keeps of the options that a study was begun or resumed with last."""
    return {**study.budget._asdict(), BEST_FILE: name_to_keep(study.best_file)}


def _keep_latest(study: Study) -> None:
    """Write the options that a study is resumed with into tune.yaml, for the next time."""
    with study.locked():
        remove_mark_of_beginning(study.path)
        stored = load_yaml(study.path / STUDY_FILE)
        latest = {**stored, **_latest(study)}
        if latest != stored:
            write_text(study.path / STUDY_FILE, dump_yaml(latest))


def _runs_with_states(path: Path) -> list[RunFolder]:
    """The runs of trials that know the number of threads that they were trained with."""
    probe = RunFolder(path / "trial-0").states_file.name
    return [RunFolder(file.parent) for file in sorted(path.glob(f"trial-*/{probe}"))]


def _checked_file(
    path: Path, given: Given, overwrite: bool, stored: Optional[Mapping[str, Any]] = None
) -> Path:
    """The file of the best configuration, if it may be written; errors as for check_file.

    ``stored`` is the content of tune.yaml of a search that is resumed.
    """
    inputs = [file for file in (given.config_file, given.space_file) if file is not None]
    replaces = (stored or {}).get(REPLACES)
    is_allowed = replaces is not None and replaces == replaceable(path)
    check_file(path, inputs, overwrite or is_allowed, resumes=stored is not None)
    return path


def _with_objective(config: Config, settings: Settings) -> Config:
    """The configuration whose best epoch is chosen by the score that trials are pruned by."""
    return config if config.monitor == LAST else config.changed({"monitor": settings.score})


def _of_one_process(contexts: list[Any]) -> list[Any]:
    """The devices of one process: PyTorch trains on one GPU in each."""
    if len(contexts) > 1 and framework_of_devices(contexts) == TORCH:
        log.info("one GPU is used: %s; another process may --resume on each other", contexts[0])
        return contexts[:1]
    return contexts
