"""The file of the best configuration: its place, and what recognizes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fashionai.config import Config
from fashionai.files.default_folders import CONFIGS_FOLDER
from fashionai.files.outputs import Kind, check_output

FIRST_LINE = "# Written by fashionai tune"


def default_file(config: Config) -> Path:
    """The file of the best configuration: configs/TASK-tuned.yaml."""
    return CONFIGS_FOLDER / f"{config.run_name}-tuned.yaml"


def check_file(path: Path, inputs: Sequence[Path], overwrite: bool) -> None:
    """Raise ConfigError or DataError unless the best configuration may be written to ``path``."""
    kind = Kind("a configuration", _is_own)
    check_output("--out", path, kind, inputs, overwrite)


def _is_own(path: Path) -> bool:
    """Whether tune has written a file."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().rstrip("\n") == FIRST_LINE
    except (OSError, ValueError):
        return False
