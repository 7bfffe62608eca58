"""Paths as callers give them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Union

from fashionai.errors import closest

# Public functions take texts as well as paths.
PathLike = Union[str, Path]


def similar_path(path: Path) -> str:
    """A hint at the most similar name in the folder of a missing path; empty without any."""
    folder = path.parent
    found = closest(path.name, [each.name for each in folder.iterdir()] if folder.is_dir() else [])
    return f"Did you mean '{path.with_name(found)}'?" if found else ""


def argument_in_comment(path: PathLike) -> str:
    """A path as the argument of a command in a comment: quoted for a shell, and on one line."""
    return " ".join(shlex.quote(str(path)).splitlines())
