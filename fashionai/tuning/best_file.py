"""The file of the best configuration: its place, and what recognizes it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from fashionai.config import Config
from fashionai.files.default_folders import CONFIGS_FOLDER
from fashionai.files.outputs import Kind, check_output

FIRST_LINE = "# Written by fashionai tune"
# Before the folder of the search, in a comment.
ALL_TRIALS = "all are in "


def default_file(config: Config) -> Path:
    """The file of the best configuration: configs/TASK-tuned.yaml."""
    return CONFIGS_FOLDER / f"{config.run_name}-tuned.yaml"


def check_file(path: Path, inputs: Sequence[Path], overwrite: bool) -> None:
    """Raise ConfigError or DataError unless the best configuration may be written to ``path``."""
    kind = Kind("a configuration", _is_own)
    check_output("--out", path, kind, inputs, overwrite)


def search_of(path: Path) -> str:
    """The folder of the search that has written a file; empty where there is none."""
    if not _is_own(path):
        return ""
    comments = path.read_text(encoding="utf-8")
    found = re.search(rf"{ALL_TRIALS}(.+)\.$", comments, re.MULTILINE)
    return found[1] if found else ""


def _is_own(path: Path) -> bool:
    """Whether tune has written a file."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().rstrip("\n") == FIRST_LINE
    except (OSError, ValueError):
        return False
