"""How a run can be made again: commands, configuration, and the versions of what computed."""

from __future__ import annotations

import platform
import shlex
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from fashionai import __version__
from fashionai.config import dump_config
from fashionai.files.formats.yaml_files import load_yaml
from fashionai.reporting.report.results import Source
from fashionai.reporting.report.subjects import Subject, split_of
from fashionai.runs import BASE_CONFIG_FILE, CROSS_VALIDATION_FILE

PACKAGES = ("mxnet", "mxnet-cu112", "torch", "numpy", "opencv-python", "Pillow")


class Reproduction(NamedTuple):
    """The commands that train a run again and score it, and its configuration as YAML."""

    commands: str
    config: str


def reproduction(subject: Subject, source: Source, crops: int) -> Reproduction:
    """How one run of the report can be made again; ``crops`` is the number of views per image."""
    again = f"--run {_quoted(f'{subject.path}-again')}"
    if subject.is_cross_validation:
        file = subject.path / BASE_CONFIG_FILE
        folds = load_yaml(subject.path / CROSS_VALIDATION_FILE).get("folds")
        command = f"fashionai cross-validate --config {_quoted(file)} --folds {folds} {again}"
        return Reproduction(command, file.read_text(encoding="utf-8"))
    (run,) = subject.runs
    lines = [f"fashionai train --config {_quoted(run.folder.config_file)} {again}"]
    if not source.files:
        options = f"--split {split_of(subject, source.split)} --crops {crops}"
        if run.crop is not None:
            options += f" --image-size {run.crop}"
        if source.threshold is not None:
            options += f" --threshold {source.threshold}"
        lines.append(f"fashionai evaluate {again} {options}")
    trained = run.config if run.crop is None else run.config_with(())
    return Reproduction("\n".join(lines), dump_config(trained))


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
