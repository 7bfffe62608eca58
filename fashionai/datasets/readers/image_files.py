"""Where images are: what folders hold, and which of their files are images."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from fashionai.errors import DataError
from fashionai.pipeline.decode import read_header
from fashionai.urls import is_url

# Formats that cannot be decoded count too: checking then names them, none is passed over.
IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".png", ".bmp", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".gif", ".avif", ".heic"),
)
DRIVE = re.compile(r"[A-Za-z]:")


class FolderContent(NamedTuple):
    """Names in one folder, sorted; hidden ones are left out."""

    folders: list[str]
    images: list[str]
    others: list[str]


class ImageFiles:
    """Files below a folder, which is listed a part at a time.

    A question to the disk for every row would take minutes for a million rows.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise DataError(f"{root}: no such folder, expected the folder of the images")
        self.root = root
        self._names: dict[str, frozenset[str]] = {}
        self._by_stem: dict[str, dict[str, list[str]]] = {}

    def names(self, folder: str) -> frozenset[str]:
        """Names of the files in a folder below the root ("" for itself); none if it is not there.

        Raises DataError when it cannot be read.
        """
        if folder not in self._names:
            self._names[folder] = frozenset(_file_names(self.root / folder))
        return self._names[folder]

    def find(self, path: str, where: str) -> Optional[str]:
        """The file of a safe relative path, its suffix added where the path has none.

        None when there is no such file, DataError when there are two.
        """
        folder, slash, name = path.rpartition("/")
        if name in self.names(folder):
            return path
        if is_image_name(name):
            return None
        found = self._stems(folder).get(name, [])
        if len(found) > 1:
            raise DataError(
                f"{where}: '{path}' may be {found[0]} or {found[1]}, expected a name with suffix"
            )
        return folder + slash + found[0] if found else None

    def missing(self, paths: Sequence[tuple[str, str]]) -> DataError:
        """The error for files that are not there: pairs of path and place."""
        path, where = paths[0]
        folder, _, name = path.rpartition("/")
        more = f" (and {len(paths) - 1:,} more)" if len(paths) > 1 else ""
        alike = [file for file in sorted(self.names(folder)) if file.lower() == name.lower()]
        hint = f"Did you mean '{alike[0]}'?" if alike else ""
        return DataError(f"{where}: image {self.root / path} does not exist{more}", hint)

    def _stems(self, folder: str) -> dict[str, list[str]]:
        if folder not in self._by_stem:
            stems: dict[str, list[str]] = {}
            for name in sorted(self.names(folder)):
                if is_image_name(name):
                    stems.setdefault(name.rpartition(".")[0], []).append(name)
            self._by_stem[folder] = stems
        return self._by_stem[folder]


def is_image_name(name: str) -> bool:
    """Whether a file's suffix is one of images."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def holds_image(path: Path) -> bool:
    """Whether a path is an image file, whatever its name; DataError when it cannot be read."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as handle:
            return read_header(handle) is not None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def safe_relative_path(path: str, where: str, expected: str) -> str:
    """A label file's path with ``/`` between its parts, relative and without ``..``.

    Raises DataError with ``where`` and ``expected`` for a path that is empty or
    leaves the folder: absolute, with a drive, with an address, upwards.
    """
    plain = path.replace("\\", "/")
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    if not parts:
        raise DataError(f"{where}: no image path, expected {expected}")
    if plain.startswith("/") or ".." in parts or DRIVE.match(plain) or is_url(plain):
        raise DataError(f"{where}: path '{path}' leaves the data folder, expected {expected}")
    return "/".join(parts)


def list_folder(folder: Path) -> FolderContent:
    """What lies directly in a folder; DataError when it is none or cannot be read."""
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
        # A link to an image that is gone is a missing image, which checking reports.
        elif is_image_name(entry.name) and (entry.is_file() or entry.is_symlink()):
            content.images.append(entry.name)
        else:
            content.others.append(entry.name)
    return content


def list_class_folder(folder: Path) -> FolderContent:
    """What lies in a folder of one class; DataError for folders in it."""
    content = list_folder(folder)
    if content.folders:
        raise DataError(
            f"{folder / content.folders[0]}: is a folder below a class folder, expected images"
        )
    return content


def note_on_other_files(others: Sequence[str]) -> list[str]:
    """A line about files that are no images, if there are any."""
    if not others:
        return []
    more = ", ..." if len(others) > 3 else ""
    count = "1 file that is no image" if len(others) == 1 else f"{len(others):,} files, no images,"
    return [f"{count} left out: {', '.join(others[:3])}{more}"]


def _file_names(folder: Path) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries if entry.is_file())
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the path
        return
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from None
