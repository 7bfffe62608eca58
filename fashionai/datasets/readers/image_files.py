"""Image files in folders: which files are images, what a folder holds, finding listed paths."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from fashionai.errors import DataError, counted, shown
from fashionai.files.names import (
    SYSTEM_FOLDERS,
    comparable,
    is_image_name,
    is_writable_as_text,
    with_escaped_bytes,
)
from fashionai.pipeline.decode import is_image
from fashionai.web.urls import is_url

# The suffix of a file of another kind, such as ".h5", ".ai" and ".jpg~". Other dots belong to the
# name, as in "5.2 metres".
SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]*~?|~")
# In characters: what common file systems accept. No longer path exists.
LONGEST_PATH = 4096
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
        self._absolute_roots = (str(root.absolute()), str(root.resolve()))
        self._names: dict[str, frozenset[str]] = {}
        self._by_stem: dict[str, dict[str, list[str]]] = {}
        self._by_comparable: dict[str, dict[str, str]] = {}
        self._folders: dict[str, str] = {}

    def names(self, folder: str) -> frozenset[str]:
        """Return the names of the files in a folder below the root; "" is the root itself.

        A folder that does not exist has none. Raises DataError for one that cannot be read.
        """
        if folder not in self._names:
            self._names[folder] = frozenset(_file_names(self.root / folder))
        return self._names[folder]

    def relative_path(self, path: str, where: str, expected: str) -> str:
        """Return the safe form of a path; an absolute one has to lie below the root.

        Raises DataError as safe_relative_path does.
        """
        plain = path.replace("\\", "/")
        for root in self._absolute_roots:
            if plain.startswith(f"{root}/"):
                path = plain[len(root) + 1 :]
                break
        return safe_relative_path(path, where, expected)

    def find(self, path: str, where: str) -> Optional[str]:
        """Return the path of the file that a label file lists as ``path``; None when it is missing.

        ``path`` is a safe relative path and may lack its image suffix. Composed and decomposed
        letters, and blanks at both ends of a name, make no difference. Raises DataError, with
        ``where``, when two files differ only in the suffix that ``path`` lacks.
        """
        folder, slash, name = path.rpartition("/")
        folder = self._real_folder(folder)
        if name in self.names(folder):
            return folder + slash + name
        real_name = self._comparable_names(folder).get(comparable(name))
        if real_name is not None:
            return folder + slash + real_name
        if is_image_name(name):
            return None
        found = self._stems(folder).get(comparable(name), [])
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
        place = shown(str(self.root / path), 400)
        return DataError(f"{where}: image {place} does not exist{more}", hint)

    def missing_of_user(self, paths: Sequence[tuple[str, str]]) -> DataError:
        """Return the error for missing files that the user's own CSV file or list names."""
        error = self.missing(paths)
        hint = f"Paths are relative to {self.root}; --images names another folder"
        return DataError(error.message, error.hint or hint)

    def _real_folder(self, folder: str) -> str:
        """Return how the file system spells a folder; the same text when it does not exist."""
        if folder not in self._folders:
            self._folders[folder] = self._find_folder(folder)
        return self._folders[folder]

    def _find_folder(self, folder: str) -> str:
        if len(folder) > LONGEST_PATH or _is_folder(self.root / folder):
            return folder
        found = ""
        for name in folder.split("/"):
            found = f"{found}/{self._inner_folder(found, name)}".lstrip("/")
        return found

    def _inner_folder(self, folder: str, name: str) -> str:
        """Return how the file system spells the folder ``name`` inside another one."""
        place = self.root / folder
        if not _is_folder(place) or _is_folder(place / name):
            return name
        inner = sorted(entry.name for entry in os.scandir(place))
        alike = [each for each in inner if comparable(each) == comparable(name)]
        return next((each for each in alike if _is_folder(place / each)), name)

    def _comparable_names(self, folder: str) -> dict[str, str]:
        """Return the names in a folder by their comparable form."""
        if folder not in self._by_comparable:
            names = sorted(self.names(folder), reverse=True)
            self._by_comparable[folder] = {comparable(name): name for name in names}
        return self._by_comparable[folder]

    def _stems(self, folder: str) -> dict[str, list[str]]:
        """Return the names of the images in a folder by their stem, the name without suffix."""
        if folder not in self._by_stem:
            stems: dict[str, list[str]] = {}
            for name in sorted(self.names(folder)):
                if is_image_name(name):
                    stems.setdefault(comparable(name.rpartition(".")[0]), []).append(name)
            self._by_stem[folder] = stems
        return self._by_stem[folder]


def lacks_suffix(name: str) -> bool:
    """Return whether a file name has no suffix at all, as images from the web may have none."""
    return SUFFIX.fullmatch(Path(name).suffix) is None and not name.endswith("~")


def holds_image(path: Path) -> bool:
    """Return whether a path is a file without a suffix that begins like an image.

    Raises DataError when the file cannot be read.
    """
    if not lacks_suffix(path.name) or not path.is_file():
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
        raise DataError(
            f"{where}: path '{shown(path, 400)}' leaves the data folder, expected {expected}"
        )
    return "/".join(parts)


def list_folder(folder: Path) -> FolderContent:
    """Return what lies directly in a folder.

    Images are known by their suffix. Raises DataError when the folder cannot be read, and for
    names that are not UTF-8, because no label file or prediction file can hold them.
    """
    content = FolderContent([], [], [])
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from None
    visible = [entry for entry in entries if not is_passed_over(entry.name)]
    check_names(folder, [entry.name for entry in visible])
    for entry in visible:
        if entry.is_dir():
            content.folders.append(entry.name)
        # A broken link counts as an image, so that the check of the images reports it.
        elif is_image_name(entry.name) and (entry.is_file() or entry.is_symlink()):
            content.images.append(entry.name)
        else:
            content.others.append(entry.name)
    return content


def list_images_of_folder(folder: Path) -> FolderContent:
    """Return what list_folder returns, with files without a suffix known by their content."""
    content = list_folder(folder)
    found = {name for name in content.others if holds_image(folder / name)}
    others = [name for name in content.others if name not in found]
    return FolderContent(content.folders, sorted([*content.images, *found]), others)


def is_passed_over(name: str) -> bool:
    """Return whether a file or folder is hidden, or a folder that a system leaves by itself."""
    return name.startswith(".") or name in SYSTEM_FOLDERS


def check_names(folder: Path, names: Sequence[str]) -> None:
    """Raise DataError for names in a folder that are not UTF-8."""
    bad = [name for name in names if not is_writable_as_text(name)]
    if bad:
        more = f" (and {len(bad) - 1:,} more)" if len(bad) > 1 else ""
        raise DataError(
            f"{with_escaped_bytes(str(folder / bad[0]))}{more}: the name is not UTF-8 text",
            "Rename it",
        )


def list_class_folder(folder: Path) -> FolderContent:
    """Return what lies in the folder of one class, as list_images_of_folder does.

    Raises DataError when it holds folders.
    """
    content = list_images_of_folder(folder)
    if content.folders:
        raise DataError(
            f"{folder / content.folders[0]}: is a folder below a class folder, expected images",
            "Move its images into the class folder, or the folder elsewhere",
        )
    return content


def note_on_other_files(others: Sequence[str]) -> list[str]:
    """Return one note that names up to three files that are not images; none without such files."""
    if not others:
        return []
    more = ", ..." if len(others) > 3 else ""
    names = ", ".join(others[:3]) + more
    reason = "it is not an image" if len(others) == 1 else "they are not images"
    return [f"{counted(len(others), 'file')} skipped because {reason}: {names}"]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that is too long, or a NUL in it
        return False


def _file_names(folder: Path) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries if entry.is_file())
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the path
        return
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # no such folder exists
            return
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from None
