"""Training as users begin it: a new run, a run that is resumed, or one that is finished."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from fashionai.config import Config
from fashionai.files.default_folders import RUNS_FOLDER
from fashionai.runs import Run, RunFolder, create_run, holds_run, remove_free_lock, remove_run

log = logging.getLogger(__name__)


def train(
    config: Config,
    path: Optional[Path],
    device: str,
    gpus: Sequence[int],
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> Run:
    """Train into the folder ``path``, by default runs/TASK, and return the run.

    With ``resume`` a run that has begun there is resumed; a finished one is returned as it is.
    With ``overwrite`` it is deleted, after everything has been checked. Otherwise a folder that
    is taken leads to another name. Raises errors of Trainer and Trainer.fit, and RunError for a
    run that was begun with another configuration.
    """
    folder = RunFolder(path or RUNS_FOLDER / config.run_name)
    begun = Run(folder) if resume and folder.has_begun else None
    if begun is not None:
        begun.check_same_config(config)
        if begun.is_finished:
            remove_free_lock(folder)
            log.info("%s: already finished, weights: %s", begun, begun.weights_file)
            return begun
    # Imported here: they import MXNet, which takes seconds.
    from fashionai.runtime import contexts
    from fashionai.training.trainer import Trainer

    trainer = Trainer(config, contexts(device, list(gpus)), begun)
    if overwrite:
        remove_run(folder.path)
    if begun is None:
        folder = new_folder(folder.path, exactly=resume)
    trainer.fit(folder)
    return Run(folder)


def new_folder(wanted: Path, exactly: bool) -> RunFolder:
    """A new run folder, see create_run; logs a name that is not the wanted one."""
    folder = create_run(wanted, exactly)
    if folder.path != wanted:
        advice = f" (use --resume or --overwrite for {wanted})" if holds_run(wanted) else ""
        log.info("%s exists, so this is %s%s", wanted, folder, advice)
    return folder
