"""How a run can be made again: commands, configuration, and the versions of what computed."""

from __future__ import annotations

import platform
import shlex
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from fashionai import __version__
from fashionai.files.yaml_files import load_yaml
from fashionai.reporting.report.results import Source
from fashionai.reporting.report.subjects import Subject, split_of
from fashionai.runs import BASE_CONFIG_FILE, CROSS_VALIDATION_FILE

PACKAGES = ("mxnet", "mxnet-cu112", "torch", "numpy", "opencv-python", "Pillow")


class Reproduction(NamedTuple):
    """The commands that train a run again and score it, and its configuration as YAML."""

    commands: str
    config: str


def reproduction(subject: Subject, source: Source, crops: int) -> Reproduction:
    """How one run of the report can be made again."""
    path = subject.path
    if subject.is_cross_validation:
        file = path / BASE_CONFIG_FILE
        folds = load_yaml(path / CROSS_VALIDATION_FILE).get("folds")
        train = f"cross-validate --config {_quoted(file)} --folds {folds}"
    else:
        file = subject.runs[0].folder.config_file
        train = f"train --config {_quoted(file)}"
    lines = [f"fashionai {train} --run {_quoted(f'{path}-again')}"]
    if not source.files and not subject.is_cross_validation:
        split = split_of(subject, source.split)
        lines.append(f"fashionai evaluate --run {_quoted(path)} --split {split} --crops {crops}")
    return Reproduction("\n".join(lines), file.read_text(encoding="utf-8"))


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
