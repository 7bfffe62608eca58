"""The file of the best configuration: its place, and what recognizes it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from fashionai.config import Config
from fashionai.files import content_hash, file_hash
from fashionai.files.default_folders import CONFIGS_FOLDER
from fashionai.files.names import with_escaped_bytes
from fashionai.files.outputs import REPLACE_HINT, Kind, check_output

FIRST_LINE = "# Written by fashionai tune"
# Before the folder of the search, in a comment.
ALL_TRIALS = "all are in "


def default_file(config: Config) -> Path:
    """The file of the best configuration: configs/TASK-tuned.yaml."""
    return CONFIGS_FOLDER / f"{config.run_name}-tuned.yaml"


def check_file(path: Path, inputs: Sequence[Path], overwrite: bool, resumes: bool) -> None:
    """Raise ConfigError or DataError unless the best configuration may be written to ``path``.

    ``resumes`` tells that the user cannot give --overwrite, which would delete the search.
    """
    kind = Kind("a configuration", _is_own)
    hint = "Name another --out" if resumes else REPLACE_HINT
    check_output("--out", path, kind, inputs, overwrite, hint)


def name_to_keep(path: Path) -> Optional[str]:
    """The file of the best configuration as tune.yaml has it; None for a name that is no text."""
    name = str(_place(path))
    return name if with_escaped_bytes(name) == name else None


def replaceable(path: Path) -> Optional[str]:
    """The hash of a file of the user's own: its place and its content; None for any other path.

    A search that is begun with --overwrite stores it, so that resuming it may replace that file
    as it was, and no other one. OSError for an unreadable file.
    """
    if not path.is_file() or not path.stat().st_size or _is_own(path):
        return None
    place = _place(path.resolve())
    # The names of files need not be UTF-8.
    return content_hash(os.fsencode(place) + b"\0" + file_hash(path).encode())


def search_of(path: Path) -> str:
    """The folder of the search that has written a file; empty where there is none."""
    if not _is_own(path):
        return ""
    comments = path.read_text(encoding="utf-8")
    found = re.search(rf"{ALL_TRIALS}(.+)\.$", comments, re.MULTILINE)
    return found[1] if found else ""


def _place(path: Path) -> Path:
    """A path that a project keeps when it is moved: relative to the current folder, or as it is."""
    with contextlib.suppress(ValueError):
        return path.relative_to(Path.cwd())
    return path


def _is_own(path: Path) -> bool:
    """Whether tune has written a file."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().rstrip("\n") == FIRST_LINE
    except (OSError, ValueError):
        return False
