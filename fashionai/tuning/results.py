"""What a search ends with: the best configuration as a file, and a table of all trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fashionai.config import Config
from fashionai.errors import counted
from fashionai.files import write_text
from fashionai.files.csv_files import write_rows
from fashionai.files.default_folders import CONFIGS_FOLDER
from fashionai.files.outputs import Kind, check_output
from fashionai.files.yaml_files import dump_yaml
from fashionai.training.estimate import duration
from fashionai.tuning.study import Study
from fashionai.tuning.trials import TIME, Trial, ranked

FIRST_LINE = "# Written by fashionai tune"
CONFIGURATIONS = Kind("a configuration of tune", lambda path: _first_line(path) == FIRST_LINE)
# Trials that the comments list.
MOST_LISTED = 10


def default_file(config: Config) -> Path:
    """The file of the best configuration: configs/TASK-tuned.yaml."""
    return CONFIGS_FOLDER / f"{config.run_name}-tuned.yaml"


def check_file(path: Path, inputs: Sequence[Path], overwrite: bool) -> None:
    """Raise ConfigError or DataError unless the best configuration may be written to ``path``."""
    check_output("--out", path, CONFIGURATIONS, inputs, overwrite)


def write_best(path: Path, study: Study, trials: Sequence[Trial], notes: Sequence[str]) -> None:
    """Write the configuration of the best trial, with its history and ``notes`` as comments."""
    best = ranked(trials, study.settings.objectives)[0]
    config = study.config_of(best.number, best.params)
    comments = [*_history(path, study, trials), *(["", *notes] if notes else [])]
    lines = [FIRST_LINE, *(f"# {line}".rstrip() for line in comments), "", _shortened(config)]
    write_text(path, "\n".join(lines))


def write_trials(study: Study, trials: Sequence[Trial]) -> Path:
    """Write trials.csv into the study's folder: one row per trial; returns the file."""
    keys = [parameter.key for parameter in study.space]
    names = study.settings.objectives
    rows = [["trial", "state", *names, "epochs", "seconds", *keys, "reason"]]
    for trial in trials:
        values = [*trial.values, *[""] * (len(names) - len(trial.values))]
        params = [trial.params.get(key, "") for key in keys]
        seconds = f"{trial.seconds:.1f}"
        cells = [trial.number, trial.state, *values, len(trial.scores), seconds, *params]
        rows.append([str(each) for each in (*cells, trial.reason)])
    file = study.path / "trials.csv"
    write_rows(file, rows)
    return file


def value_texts(trial: Trial, objectives: Sequence[str]) -> list[str]:
    """The values of a finished trial as people read them."""
    return [
        f"{value:.2f} ms" if name == TIME else f"{value:.4f}"
        for name, value in zip(objectives, trial.values)
    ]


def changes_of(study: Study, trial: Trial) -> list[str]:
    """The parameters of a trial that differ from the user's configuration, as ``key=value``."""
    own = study.space.params_of(study.config)
    changed = {key: value for key, value in trial.params.items() if own.get(key) != value}
    return [f"{key}={value}" for key, value in changed.items()]


def _history(path: Path, study: Study, trials: Sequence[Trial]) -> list[str]:
    """The comments of the best configuration."""
    objectives = study.settings.objectives
    order = ranked(trials, objectives)
    seconds = sum(trial.seconds for trial in trials)
    images = (
        "the validation images" if not study.settings.folds else f"{study.settings.folds} folds"
    )
    lines = [
        "",
        f"  fashionai train --config {' '.join(str(path).split())}",
        "",
        f"The best of {counted(len(trials), 'trial')} in {duration(seconds)}, scored on {images}.",
        f"Trial 0 is the configuration that the search began with; all are in {study.path}.",
        "",
        f"trial  {', '.join(objectives)}",
    ]
    for trial in order[:MOST_LISTED]:
        values = ", ".join(value_texts(trial, objectives))
        lines.append(f"{trial.number:5}  {values}  {' '.join(changes_of(study, trial))}")
    return lines


def _shortened(config: Config) -> str:
    """The configuration as YAML, without the keys that have their defaults."""
    tree = config.model_dump()
    default = Config(task=config.task).model_dump()
    kept = {key: _changed(value, default.get(key)) for key, value in tree.items()}
    return dump_yaml({"task": config.task, **{k: v for k, v in kept.items() if v is not None}})


def _changed(value: Any, default: Any) -> Any:
    """A value that is not the default; of a section with the same keys those that are not."""
    if value == default:
        return None
    if not isinstance(value, Mapping) or not isinstance(default, Mapping):
        return value
    if value.keys() != default.keys():  # another schedule
        return value
    return {key: each for key, each in value.items() if key == "name" or each != default[key]}


def _first_line(path: Path) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().rstrip("\n")
    except (OSError, ValueError):
        return ""
