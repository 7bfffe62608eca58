"""The search space of a study, before it is begun and as its folder has it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from fashionai.config import Config, load_config
from fashionai.cross_validation import with_devices
from fashionai.errors import RunError
from fashionai.files.default_folders import RUNS_FOLDER
from fashionai.runs import SPACE_FILE, STUDY_FILE
from fashionai.tuning.settings import Given
from fashionai.tuning.spaces.default import default_space
from fashionai.tuning.spaces.files import dump_space, read_space
from fashionai.tuning.spaces.space import Space
from fashionai.tuning.timing import cost_bound, trial_seconds
from fashionai.weights.availability import find_obtainable


def study_folder(path: Optional[Path], config: Optional[Config]) -> Path:
    """The folder of a study, by default runs/TASK-tune; one of both is given."""
    if path is not None:
        return path
    assert config is not None
    return RUNS_FOLDER / f"{config.run_name}-tune"


def space_text(
    given: Given, path: Optional[Path], device: str, gpus: Sequence[int], *, resume: bool
) -> str:
    """The search space of the study that open_study would begin or resume, as YAML text.

    Nothing is written. Errors as for open_study.
    """
    config = None if given.config_file is None else load_config(given.config_file, given.overrides)
    path = study_folder(path, config)
    if resume and (path / STUDY_FILE).is_file():
        return (path / SPACE_FILE).read_text(encoding="utf-8")
    if config is None:
        raise not_a_search(path)
    config, contexts = with_devices(config, device, gpus)
    measures = given.space_file is None and given.seconds is not None
    estimate = trial_seconds(config, contexts, given.folds) if measures else None
    return dump_space(planned_space(config, given, estimate))


def planned_space(config: Config, given: Given, estimate: Optional[float]) -> Space:
    """The search space of the file, or the default one.

    ``estimate`` are the estimated seconds of a trial, None where no time limits all trials.
    """
    if given.space_file is not None:
        return read_space(given.space_file, config)
    networks = find_obtainable().networks if config.model.pretrained is True else ()
    names = [network.name for network in networks]
    return default_space(config, names, cost_bound(given.seconds, estimate))


def not_a_search(path: Path) -> RunError:
    """The error of a folder without a study."""
    return RunError(f"{path}: not a search ({STUDY_FILE} not found)", "Start one with --config")
