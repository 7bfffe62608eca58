"""Training as users begin it: a new run, a run that is resumed, or one that is finished."""

from __future__ import annotations

import contextlib
import gc
import logging
import operator
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Optional

from fashionai.config import Config, save_config
from fashionai.datasets.prepared.samples import data_hash
from fashionai.errors import ConfigError, RunError
from fashionai.files.default_folders import RUNS_FOLDER
from fashionai.files.outputs import MARKS_OF_RUNS, has_marks
from fashionai.frameworks.processes import current_place, is_restarted
from fashionai.packaged_configs import find_config
from fashionai.runs import (
    Run,
    RunFolder,
    check_removable,
    create_run,
    remove_free_lock,
    remove_run,
)
from fashionai.training.records.observers import HistoryObserver

log = logging.getLogger(__name__)

# The keys of the configuration that name files or folders which a training reads.
FILE_KEYS = ("model.pretrained", "data.folder", "data.folds_file", "data.soft_targets")


def train(
    config: Config,
    path: Optional[Path],
    device: str,
    gpus: Sequence[int],
    *,
    resume: bool = False,
    overwrite: bool = False,
    config_file: Optional[Path] = None,
) -> Run:
    """Train into the folder ``path``, by default runs/TASK, and return the run.

    With ``resume`` a run that has begun there is resumed; a finished one is returned as it is.
    With ``overwrite`` it is deleted, after everything has been checked. Otherwise a folder that
    is taken leads to another name. Raises errors of Trainer and Trainer.fit, RunError for a
    run that was begun with another configuration, and ConfigError for several processes that were
    started again without ``resume`` and for files in the folder to delete that the training reads,
    such as ``config_file``, the file that ``config`` was read from.
    """
    _check_restart(resume)
    folder = RunFolder(path or RUNS_FOLDER / config.run_name)
    begun = Run(folder) if resume and folder.has_begun else None
    if begun is not None:
        config = config.with_engine_of(begun.config)
        begun.check_same_config(config)
        if begun.is_finished:
            remove_free_lock(folder)
            log.info("%s: already finished, weights: %s", begun, begun.weights_file)
            _tell_finished(config, device, gpus)
            return begun
    if overwrite:
        files = [*config_input(config_file), *input_files(config)]
        check_overwrite(folder.path, files)
    # Imported here: they import a framework, which takes seconds.
    from fashionai.frameworks.choice import choose_devices
    from fashionai.training.learners.engine_choice import wanted_engine
    from fashionai.training.learners.opening import FirstHasFinished
    from fashionai.training.speed.threads import choose_threads
    from fashionai.training.trainer import Trainer

    config = choose_threads(config, [] if begun is None else [folder], device, gpus)
    chosen = choose_devices(wanted_engine(config), device, list(gpus))
    config = config.changed({"engine": chosen.engine})
    if chosen.engine == "torch" and len(chosen.contexts) > 1:
        if begun is None and not overwrite:
            folder = new_folder(folder.path, exactly=resume)
        options = [*(["--resume"] if resume else []), *(["--overwrite"] if overwrite else [])]
        _train_in_processes(config, folder, chosen.contexts, options)
        return Run(folder)
    try:
        trainer = Trainer(config, chosen.contexts, begun)
    except FirstHasFinished:
        return Run(folder)
    if trainer.learner.writes:
        if overwrite:
            remove_run(folder.path)
        if begun is None:
            folder = new_folder(folder.path, exactly=resume)
    trainer.fit(folder)
    return Run(folder)


def train_or_resume(
    run: Run,
    config: Config,
    contexts: Sequence[Any],
    observers: Sequence[HistoryObserver] = (),
) -> Run:
    """Train a run in its folder, resume it, or return it as it is if it is finished.

    It is one of several runs that are trained one after the other: memory is freed at the end.
    Errors as for Trainer and Trainer.fit.
    """
    from fashionai.training.trainer import Trainer

    has_begun = run.folder.has_begun
    if has_begun:
        config = config.with_engine_of(run.config)
        run.check_same_config(config)
        if run.is_finished:
            remove_free_lock(run.folder)
            return run
    run.path.mkdir(parents=True, exist_ok=True)
    begun = run if has_begun else None
    Trainer(config, list(contexts), begun, observers=observers).fit(run.folder)
    # Gluon's blocks refer to each other: this frees the network's memory on the device.
    gc.collect()
    return Run(run.folder)


def check_same_beginning(
    path: Path, different: Sequence[str], begun_hash: Any, config: Config
) -> None:
    """Raise RunError for a folder of several runs that was begun with other settings or data.

    ``different`` describes the settings that differ. ``begun_hash`` is the hash of the prepared
    folders then, and ``config`` names them.
    """
    if different:
        raise RunError(
            f"{path}: was begun with other settings ({'; '.join(different)})",
            "Resume without them, or give --overwrite or another --run",
        )
    if begun_hash != data_hash(config):
        raise RunError(
            f"{path}: the prepared folder has changed",
            "Prepare it as it was, or give --overwrite or another --run",
        )


def input_files(config: Config) -> list[tuple[str, Any]]:
    """The keys that name files or folders which a training reads, with their values."""
    return [(key, operator.attrgetter(key)(config)) for key in FILE_KEYS]


def config_input(file: Optional[Path]) -> list[tuple[str, Any]]:
    """The file of --config, in the form of input_files; empty without one."""
    return [] if file is None else [("--config", str(find_config(file)))]


def check_overwrite(path: Path, files: Iterable[tuple[str, Any]]) -> None:
    """Raise RunError or ConfigError where the folder ``path`` is not to be deleted.

    It holds no run, see check_removable, or one of these files is lost. ``files`` are keys of the
    configuration or options with their values; values that are no text name none.
    """
    check_removable(path)
    for key, value in files:
        if isinstance(value, str) and _is_reached_through(path, Path(value)):
            raise ConfigError(
                f"{key}: {value} is lost when --overwrite deletes {path}",
                "Name another --run, or copy it elsewhere",
            )


def _is_reached_through(folder: Path, file: Path) -> bool:
    """Whether a path leads through a folder, also by symbolic links in it or to it."""
    path = Path(os.path.normpath(file.absolute()))
    places = [each.resolve() for each in (path, *path.parents)]
    return any(folder.resolve() in (place, *place.parents) for place in places)


def _check_restart(resume: bool) -> None:
    """Raise ConfigError where processes that were started again would begin anew."""
    if current_place().count > 1 and is_restarted() and not resume:
        raise ConfigError(
            "the launcher has started the training again, which would begin anew",
            "Start it with --resume",
        )


def _tell_finished(config: Config, device: str, gpus: Sequence[int]) -> None:
    """Tell other processes that the run is finished: their machines may not see its folder."""
    if current_place().count == 1:
        return
    from fashionai.frameworks.choice import choose_devices
    from fashionai.training.torch.opening import tell_finished

    tell_finished(config, choose_devices("torch", device, gpus).contexts)


def _train_in_processes(
    config: Config, folder: RunFolder, gpus: Sequence[Any], options: Sequence[str]
) -> None:
    """Train with one process for each of these GPUs; a folder that stays empty is removed."""
    from fashionai.training.records.messages import GPUS_OF_PROCESSES
    from fashionai.training.torch.launch import launch

    with tempfile.TemporaryDirectory(prefix="fashionai-") as scratch:
        file = Path(scratch) / "config.yaml"
        save_config(config, file)
        indices = ",".join(str(gpu.device_id) for gpu in gpus)
        arguments = ["train", "--config", str(file), "--run", str(folder), "--gpus", indices]
        os.environ[GPUS_OF_PROCESSES] = indices
        try:
            launch([*arguments, *options], len(gpus))
        finally:
            del os.environ[GPUS_OF_PROCESSES]
            with contextlib.suppress(OSError):
                folder.path.rmdir()


def new_folder(wanted: Path, exactly: bool) -> RunFolder:
    """A new run folder, see create_run; logs a name that is not the wanted one."""
    folder = create_run(wanted, exactly)
    if folder.path != wanted:
        is_run = has_marks(wanted, MARKS_OF_RUNS)
        advice = f" (use --resume or --overwrite for {wanted})" if is_run else ""
        log.info("%s exists, so this is %s%s", wanted, folder, advice)
    return folder
