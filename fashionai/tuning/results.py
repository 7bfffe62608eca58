"""What a search ends with: the best configuration as a file, and a table of all trials."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fashionai.config import Config
from fashionai.errors import counted
from fashionai.files import write_text
from fashionai.files.formats.csv_files import write_rows
from fashionai.files.formats.yaml_files import dump_yaml
from fashionai.files.names import with_escaped_bytes
from fashionai.files.paths import argument_in_comment
from fashionai.tuning.best_file import ALL_TRIALS, FIRST_LINE, search_of
from fashionai.tuning.outcome import other_trade_offs
from fashionai.tuning.plot import draw_search
from fashionai.tuning.study import Study
from fashionai.tuning.table import changes_of, long_name, value_text
from fashionai.tuning.trials import Trial, ranked

log = logging.getLogger(__name__)

# Trials that the comments list.
MOST_LISTED = 10


def write_results(
    study: Study, trials: Sequence[Trial], importance: Mapping[str, float], notes: Sequence[str]
) -> list[Path]:
    """Write the best configuration with ``notes`` in its comments, a table and a picture.

    Returns their files: the configuration, and trials.csv and tune.png in the study's folder.
    """
    picture = draw_search(study.path / "tune.png", trials, study.settings.objectives, importance)
    return [write_best(study, trials, notes), _write_trials(study, trials), picture]


def write_best(study: Study, trials: Sequence[Trial], notes: Sequence[str]) -> Path:
    """Write the configuration of the best trial, with its history and ``notes`` as comments."""
    best = ranked(trials, study.settings.objectives)[0]
    config = study.config_of(best.number, best.params)
    comments = [*_history(study, trials), *(["", *notes] if notes else [])]
    other = search_of(study.best_file)
    if other not in ("", with_escaped_bytes(str(study.path))):
        log.info("%s: replaces the result of %s", study.best_file, other)
    # A name of a choice may have line breaks.
    commented = [f"# {with_escaped_bytes(line)}".rstrip().replace("\n", " ") for line in comments]
    write_text(study.best_file, "\n".join([FIRST_LINE, *commented, "", _shortened(config)]))
    return study.best_file


def _write_trials(study: Study, trials: Sequence[Trial]) -> Path:
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


def _history(study: Study, trials: Sequence[Trial]) -> list[str]:
    """The comments of the best configuration."""
    objectives = study.settings.objectives
    scored = "the validation images"
    if study.settings.folds:
        scored = f"{study.settings.folds} folds"
    best = "best"
    if len(objectives) > 1:
        best = f"trade-off with the best {long_name(objectives[0])}"
    return [
        "",
        f"  fashionai train --config {argument_in_comment(study.best_file)}",
        "",
        f"The {best} of {counted(len(trials), 'trial')}, scored on {scored}.",
        f"Trial 0 is the configuration that the search began with; {ALL_TRIALS}{study.path}.",
        "",
        f"trial  {', '.join(map(long_name, objectives))}",
        *_lines_of_trials(study, trials),
    ]


def _lines_of_trials(study: Study, trials: Sequence[Trial]) -> list[str]:
    """The best trials, a line each: all of the best trade-offs before the others."""
    lines = [_line(study, trial) for trial in ranked(trials, study.settings.objectives)]
    if len(study.settings.objectives) == 1:
        return lines[:MOST_LISTED]
    trade_offs = 1 + len(other_trade_offs(study, trials))
    others = lines[trade_offs:MOST_LISTED]
    headed = ["none is better in both:", *lines[:trade_offs]]
    return headed + (["other trials:", *others] if others else [])


def _line(study: Study, trial: Trial) -> str:
    """One line of the history."""
    pairs = zip(study.settings.objectives, trial.values)
    values = ", ".join(value_text(value, name) for name, value in pairs)
    return f"{trial.number:5}  {values}  {', '.join(changes_of(study, trial))}"


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
