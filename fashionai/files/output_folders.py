"""Checks of a folder that a command writes to, before it begins its work."""

from __future__ import annotations

from pathlib import Path

from fashionai.errors import DataError


def check_is_no_file(folder: Path) -> None:
    """DataError when the path of a folder to write to is taken by a file."""
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: is a file, expected a folder to write to")
