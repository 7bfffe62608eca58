"""Image files in folders: which files are images, what a folder holds, finding listed paths."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from fashionai.errors import DataError
from fashionai.pipeline.decode import is_image
from fashionai.web.urls import is_url

# Includes formats that cannot be decoded: the check of the images then reports such a file,
# which is better than to skip it silently.
IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".png", ".bmp", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".gif", ".avif", ".heic"),
)
DRIVE = re.compile(r"[A-Za-z]:")


class FolderContent(NamedTuple):
    """The sorted names of what lies directly in one folder, without hidden files and folders."""

    folders: list[str]
    images: list[str]
    others: list[str]


class ImageFiles:
    """Finds the files that label files list, below a folder ``root``.

    Each folder is listed once, when it is first needed. To ask the file system about each path
    would take minutes for a million rows. Raises DataError when ``root`` is not a folder.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise DataError(f"{root}: no such folder, expected the folder of the images")
        self.root = root
        self._names: dict[str, frozenset[str]] = {}
        self._by_stem: dict[str, dict[str, list[str]]] = {}

    def names(self, folder: str) -> frozenset[str]:
        """Return the names of the files in a folder below the root; "" is the root itself.

        A folder that does not exist has none. Raises DataError for one that cannot be read.
        """
        if folder not in self._names:
            self._names[folder] = frozenset(_file_names(self.root / folder))
        return self._names[folder]

    def find(self, path: str, where: str) -> Optional[str]:
        """Return the path of the file that a label file lists as ``path``; None when it is missing.

        ``path`` is a safe relative path and may lack its image suffix. Raises DataError, with
        ``where``, when two files differ only in the suffix that ``path`` lacks.
        """
        folder, slash, name = path.rpartition("/")
        if name in self.names(folder):
            return path
        if is_image_name(name):
            return None
        found = self._stems(folder).get(name, [])
        if len(found) > 1:
            raise DataError(
                f"{where}: '{path}' matches {found[0]} and {found[1]}, expected a name with suffix"
            )
        return folder + slash + found[0] if found else None

    def missing(self, paths: Sequence[tuple[str, str]]) -> DataError:
        """Return the error for missing files, which are pairs of path and place (file:line)."""
        path, where = paths[0]
        folder, _, name = path.rpartition("/")
        more = f" (and {len(paths) - 1:,} more)" if len(paths) > 1 else ""
        alike = [file for file in sorted(self.names(folder)) if file.lower() == name.lower()]
        hint = f"Did you mean '{alike[0]}'?" if alike else ""
        return DataError(f"{where}: image {self.root / path} does not exist{more}", hint)

    def _stems(self, folder: str) -> dict[str, list[str]]:
        """Return the names of the images in a folder by their stem, the name without suffix."""
        if folder not in self._by_stem:
            stems: dict[str, list[str]] = {}
            for name in sorted(self.names(folder)):
                if is_image_name(name):
                    stems.setdefault(name.rpartition(".")[0], []).append(name)
            self._by_stem[folder] = stems
        return self._by_stem[folder]


def is_image_name(name: str) -> bool:
    """Return whether a file name has an image suffix, in upper or lower case."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def holds_image(path: Path) -> bool:
    """Return whether a path is a file that begins like an image, whatever its name.

    Raises DataError when the file cannot be read.
    """
    if not path.is_file():
        return False
    try:
        with path.open("rb") as handle:
            return is_image(handle)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def safe_relative_path(path: str, where: str, expected: str) -> str:
    """Return a label file's path with ``/`` as separator and without empty and ``.`` parts.

    Raises DataError, with ``where`` and ``expected``, for an empty path and for one that may
    lead out of the folder: an absolute path, a path with a drive or with ``..``, a URL.
    """
    plain = path.replace("\\", "/")
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    if not parts:
        raise DataError(f"{where}: no image path, expected {expected}")
    if plain.startswith("/") or ".." in parts or DRIVE.match(plain) or is_url(plain):
        raise DataError(f"{where}: path '{path}' leaves the data folder, expected {expected}")
    return "/".join(parts)


def list_folder(folder: Path) -> FolderContent:
    """Return what lies directly in a folder; DataError when it cannot be read."""
    content = FolderContent([], [], [])
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from None
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            content.folders.append(entry.name)
        # A broken link counts as an image, so that the check of the images reports it.
        elif is_image_name(entry.name) and (entry.is_file() or entry.is_symlink()):
            content.images.append(entry.name)
        else:
            content.others.append(entry.name)
    return content


def list_class_folder(folder: Path) -> FolderContent:
    """Return what lies in the folder of one class; DataError when it holds folders."""
    content = list_folder(folder)
    if content.folders:
        raise DataError(
            f"{folder / content.folders[0]}: is a folder below a class folder, expected images"
        )
    return content


def note_on_other_files(others: Sequence[str]) -> list[str]:
    """Return one note that names up to three files that are not images; none without such files."""
    if not others:
        return []
    more = ", ..." if len(others) > 3 else ""
    names = ", ".join(others[:3]) + more
    if len(others) == 1:
        return [f"1 file skipped because it is not an image: {names}"]
    return [f"{len(others):,} files skipped because they are not images: {names}"]


def _file_names(folder: Path) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries if entry.is_file())
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the path
        return
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from None
