"""One's own images in a tree of class folders, below train, val and test or not.

Also what other readers share with it: where images are, how splits are spelt, and
the order of classes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from fashionai.datasets.names import SPLITS
from fashionai.datasets.readers.image_files import is_image_name
from fashionai.datasets.records import DataSet, LabelledImage
from fashionai.errors import ConfigError, DataError, nearest
from fashionai.tasks import Task
from fashionai.urls import is_url

SPLIT_SPELLINGS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
NO_SPLIT = ""
DRIVE = re.compile(r"[A-Za-z]:")


class FolderContent(NamedTuple):
    """Names in one folder, sorted; hidden ones are left out."""

    folders: list[str]
    images: list[str]
    others: list[str]


class ClassTree(NamedTuple):
    """A folder of class folders: the content of each by class, and files beside them."""

    folder: Path
    classes: dict[str, FolderContent]
    others: list[str]


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


def read_class_folders(name: str, folder: Path, classes: Sequence[str] = ()) -> DataSet:
    """Images of ``<class>/<image>`` or ``<split>/<class>/<image>``, sorted within a split.

    Classes are the folders' names, sorted unless ``classes`` gives their order.
    Without images for validation those of train carry no split, so that some
    can be chosen. Raises DataError for folders of another depth, images outside
    a class folder, and classes that train does not have.
    """
    trees = {split: _read_tree(place) for split, place in _split_folders(folder).items()}
    train = trees.get("train") or trees[NO_SPLIT]
    task = Task(name, (), order_classes(train.classes, classes, str(train.folder)), "table")
    _check_classes(train, task.classes, "not one of the given classes")
    for tree in trees.values():
        _check_classes(tree, list(train.classes), f"no such class in {train.folder}")
    indices = {label: index for index, label in enumerate(task.classes)}
    images = [
        LabelledImage(
            source=path.relative_to(folder).as_posix(),
            path=path,
            content=None,
            class_index=indices[path.parent.name],
            label=path.parent.name,
            where=str(path),
            split=split or None,
        )
        for split, tree in trees.items()
        for path in _image_paths(tree)
    ]
    others = [] if NO_SPLIT in trees else list_folder(folder).others
    for tree in trees.values():
        others += _other_files(tree, folder)
    images, split_notes = settle_splits(images, str(folder))
    used = {image.class_index for image in images if image.split in (None, "train")}
    notes = [*note_on_other_files(others), *notes_on_classes(task.classes, used), *split_notes]
    return DataSet(task, images, notes)


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


def order_classes(found: Iterable[str], given: Sequence[str], where: str) -> tuple[str, ...]:
    """The classes of a task: those given, else those found, sorted.

    Raises ConfigError for a class given twice and DataError for fewer than two classes.
    """
    doubled = next((name for name in given if given.count(name) > 1), None)
    if doubled is not None:
        raise ConfigError(f"classes: '{doubled}' is given twice")
    classes = tuple(given) or tuple(sorted(set(found)))
    if len(classes) < 2:
        raise DataError(f"{where}: found {_listed(classes)}, expected at least two classes")
    return classes


def notes_on_classes(classes: Sequence[str], used: Collection[int]) -> list[str]:
    """What is odd about classes: without images (not in ``used``), or alike but for capitals."""
    notes = []
    empty = [name for index, name in enumerate(classes) if index not in used]
    if empty:
        notes.append(f"no images of {_listed(empty)}")
    spellings: dict[str, str] = {}
    for name in classes:
        other = spellings.setdefault(name.lower(), name)
        if other != name:
            notes.append(f"classes '{other}' and '{name}' differ in capitals only")
    return notes


def settle_splits(
    images: Sequence[LabelledImage], where: str
) -> tuple[list[LabelledImage], list[str]]:
    """Given splits as preparing needs them, and a line about what it has to choose.

    Where there is train but no val, train gives its images up: validation is to
    be chosen from them. Raises DataError when there are no images for training.
    """
    found = {image.split for image in images}
    if not found & {None, "train"}:
        raise DataError(f"{where}: no images to train on")
    if "train" not in found or "val" in found:
        return list(images), []
    return [image._replace(split=None) if image.split == "train" else image for image in images], [
        "no images for validation are given: they are chosen from those of train"
    ]


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


def _split_folders(folder: Path) -> dict[str, Path]:
    """The folder of each split, or of NO_SPLIT alone for a tree without splits."""
    names = _list_outer_folder(folder).folders
    if not names:
        raise DataError(f"{folder}: holds no folders, expected <class>/<image>")
    by_split = {name: SPLIT_SPELLINGS[name.lower()] for name in names if _is_split(name)}
    holders = [name for name in by_split if list_folder(folder / name).folders]
    if not holders:
        if len(by_split) == len(names):
            raise DataError(
                f"{folder / names[0]}: holds no class folders, expected {names[0]}/<class>/<image>"
            )
        return {NO_SPLIT: folder}  # a class may well be called train
    places: dict[str, Path] = {}
    for name in names:
        if name not in by_split:
            raise DataError(
                f"{folder / name}: lies beside {holders[0]}, expected train, val or test"
            )
        first = places.setdefault(by_split[name], folder / name)
        if first != folder / name:
            raise DataError(f"{folder / name}: is {by_split[name]}, as {first} is")
    if "train" not in places:
        raise DataError(f"{folder}: no folder train, found {', '.join(names)}")
    return {split: places[split] for split in SPLITS if split in places}


def _is_split(name: str) -> bool:
    return name.lower() in SPLIT_SPELLINGS


def _list_outer_folder(folder: Path) -> FolderContent:
    """What lies in a folder above class folders; DataError for images in it."""
    content = list_folder(folder)
    if content.images:
        raise DataError(
            f"{folder / content.images[0]}: is an image outside a class folder, "
            "expected <class>/<image>"
        )
    return content


def _read_tree(folder: Path) -> ClassTree:
    content = _list_outer_folder(folder)
    classes = {name: list_class_folder(folder / name) for name in content.folders}
    return ClassTree(folder, classes, content.others)


def _check_classes(tree: ClassTree, known: Sequence[str], problem: str) -> None:
    for name in tree.classes:
        if name not in known:
            raise DataError(f"{tree.folder / name}: {problem}", nearest(name, known))


def _image_paths(tree: ClassTree) -> list[Path]:
    return [
        tree.folder / name / image
        for name, content in tree.classes.items()
        for image in content.images
    ]


def _other_files(tree: ClassTree, root: Path) -> list[str]:
    """Files that are no images, relative to ``root``."""
    paths = [tree.folder / name for name in tree.others]
    for name, content in tree.classes.items():
        paths += [tree.folder / name / other for other in content.others]
    return [path.relative_to(root).as_posix() for path in paths]


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "no class"
    return ("class " if len(names) == 1 else "classes ") + ", ".join(f"'{n}'" for n in names)
