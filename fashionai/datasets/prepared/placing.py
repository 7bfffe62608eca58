"""Puts an image into its class folder, as a link or a copy."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from fashionai.datasets.records import LabelledImage
from fashionai.errors import DataError
from fashionai.files import atomic_path


def put(image: LabelledImage, target: Path, mode: str) -> bool:
    """Put one image in place; return False when it was in place already."""
    if is_in_place(image, target, mode):
        return False
    if mode == "symlink" and image.path is not None:
        source, place = image.path.resolve(), target.parent.resolve()
        if source == place / target.name:
            raise DataError(f"{target}: is the image itself, so it cannot become a link to it")
        target.unlink(missing_ok=True)
        target.symlink_to(os.path.relpath(source, place))
    elif mode == "copy" or image.path is None or not _hard_link(image.path, target):
        # What is there, which may be the image itself, stays until the copy is complete.
        with atomic_path(target, durable=False) as temporary:
            if image.path is None:
                temporary.write_bytes(image.read())
            else:
                shutil.copyfile(image.path, temporary)
    return True


def is_in_place(image: LabelledImage, target: Path, mode: str) -> bool:
    """Return whether ``target`` is what ``mode`` makes of an image, or an equal copy."""
    source = image.path
    if source is None:
        return target.is_file() and target.read_bytes() == image.content
    if mode == "symlink" or target.is_symlink():
        return mode == "symlink" and target.is_symlink() and _same_file(source, target)
    if not target.is_file():
        return False
    if _same_file(source, target):
        return mode == "hardlink"
    # Also a copy that replaces a hard link, which cannot cross file systems.
    return source.stat().st_size == target.stat().st_size and (
        source.read_bytes() == target.read_bytes()
    )


def _same_file(source: Path, target: Path) -> bool:
    try:
        return source.samefile(target)
    except OSError:
        return False


def _hard_link(source: Path, target: Path) -> bool:
    """Make a hard link; return False where the file systems do not allow it.

    ``target`` is no link to ``source`` yet, so to remove it loses no image.
    """
    target.unlink(missing_ok=True)
    try:
        # A hard link to a symbolic link would itself be a symbolic link. Only links are resolved,
        # because resolving a path takes longer than linking it.
        os.link(source.resolve() if source.is_symlink() else source, target)
    except OSError:
        return False
    return True
