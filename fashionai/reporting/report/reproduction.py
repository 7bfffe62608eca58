"""How a run can be made again: commands, configuration, and the versions of what computed."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from fashionai import __version__
from fashionai.config import dump_config
from fashionai.files.formats.yaml_files import load_yaml
from fashionai.reporting.report.results import Source
from fashionai.reporting.report.subjects import Subject, split_of
from fashionai.runs import BASE_CONFIG_FILE, CROSS_VALIDATION_FILE, Run

PACKAGES = ("mxnet", "mxnet-cu112", "torch", "numpy", "opencv-python", "Pillow")


class Reproduction(NamedTuple):
    """The commands that train a run again and score it, and its configuration as YAML."""

    commands: str
    config: str


def reproduction(
    subject: Subject, source: Source, crops: int, task_names: Sequence[str]
) -> Reproduction:
    """How one run of the report can be made again.

    ``crops`` is the number of views per image, ``task_names`` are the tasks that the report shows.
    """
    again = f"{subject.path}-again"
    if subject.is_cross_validation:
        file = subject.path / BASE_CONFIG_FILE
        command = f"{_cross_validate(subject.path)} --run {_quoted(again)}"
        return Reproduction(command, file.read_text(encoding="utf-8"))
    (run,) = subject.runs
    lines = [_make(run, again)]
    if not source.files:
        options = _evaluate_options(subject, source, crops, task_names)
        lines.append(f"fashionai evaluate --run {_quoted(again)} {options}")
    trained = run.config if run.crop is None else run.config_with(())
    return Reproduction("\n".join(lines), dump_config(trained))


def _cross_validate(path: Path) -> str:
    """The command that makes the folds of a cross-validation again and trains on them."""
    settings = load_yaml(path / CROSS_VALIDATION_FILE)
    command = f"fashionai cross-validate --config {_quoted(path / BASE_CONFIG_FILE)}"
    command += "".join(f" --{key} {settings[key]}" for key in ("folds", "crops") if key in settings)
    if settings.get("stratified") is False:
        command += " --not-stratified"
    if settings.get("grouped_by_content") is False:
        command += " --not-grouped-by-content"
    return command


def _make(run: Run, again: str) -> str:
    """The command that trains a run again, or averages the same runs, into this folder."""
    if not run.averaging:
        return f"fashionai train --config {_quoted(run.folder.config_file)} --run {_quoted(again)}"
    runs = " ".join(f"--run {_quoted(path)}" for path in run.metrics["soup"]["runs"])
    return f"fashionai soup {runs} --method {run.averaging} --out {_quoted(again)}"


def _evaluate_options(
    subject: Subject, source: Source, crops: int, task_names: Sequence[str]
) -> str:
    """The options of evaluate for the scores that the report shows of a run."""
    (run,) = subject.runs
    options = f"--split {split_of(subject, source.split)} --crops {crops}"
    if len(task_names) < len(subject.tasks):
        options += "".join(f" --task {_quoted(name)}" for name in task_names)
    if run.crop is not None:
        options += f" --image-size {run.crop}"
    if source.threshold is not None:
        options += f" --threshold {source.threshold}"
    return options


def environment() -> list[tuple[str, str]]:
    """The names and versions of what made the report."""
    found = [
        ("fashionai", __version__),
        ("Python", platform.python_version()),
        ("system", f"{platform.system()} {platform.machine()}"),
    ]
    for name in PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return found


def _quoted(path: object) -> str:
    return shlex.quote(str(path))
