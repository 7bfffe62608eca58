"""The user's own images in class folders: ``<class>/<image>`` or ``<split>/<class>/<image>``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fashionai.datasets.names import SPLITS
from fashionai.datasets.readers.class_names import (
    hint_at_given_class,
    names_of_classes,
    notes_on_classes,
    order_classes,
)
from fashionai.datasets.readers.given_splits import SPLIT_SPELLINGS, settle_splits
from fashionai.datasets.readers.image_files import (
    FolderContent,
    list_class_folder,
    list_folder,
    list_images_of_folder,
    note_on_other_files,
)
from fashionai.datasets.records import DataSet, LabelledImage
from fashionai.errors import DataError, counted, nearest
from fashionai.files.names import comparable
from fashionai.tasks import Task

# The key of the only tree of a data set without split folders.
NO_SPLIT = ""


class ClassTree(NamedTuple):
    """A folder of class folders.

    ``classes`` holds the content of each class folder by the folder's name, ``names`` the class
    that each folder stands for, and ``others`` the files beside them.
    """

    folder: Path
    classes: dict[str, FolderContent]
    names: dict[str, str]
    others: list[str]


def read_class_folders(name: str, folder: Path, classes: Sequence[str] = ()) -> DataSet:
    """Read ``<class>/<image>`` or ``<split>/<class>/<image>`` below ``folder`` as a new task.

    The images of each split are sorted by path. The classes are the names of the class
    folders, in the order of ``classes`` or else sorted. Without validation images, the training
    images have no split, so that prepare chooses some of them. A folder test of images without
    class folders is left out. Raises DataError for folders of another depth, images outside a
    class folder, class folders with files but no image, and classes that train does not have.
    """
    places = _split_folders(folder)
    notes = _leave_out_unlabelled(places)
    given = [comparable(label) for label in classes]
    trees = {split: _read_tree(place, given) for split, place in places.items()}
    train = trees.get("train") or trees[NO_SPLIT]
    known = list(train.names.values())
    task = Task(name, (), order_classes(known, given, str(train.folder)), "table")
    _check_given(train, task.classes)
    for tree in trees.values():
        _check_known(tree, known, train.folder)
    indices = {label: index for index, label in enumerate(task.classes)}
    images = [
        LabelledImage(
            source=path.relative_to(folder).as_posix(),
            path=path,
            content=None,
            class_index=indices[tree.names[path.parent.name]],
            label=tree.names[path.parent.name],
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
    for tree in trees.values():
        _check_images(tree)
    notes += [*note_on_other_files(others), *notes_on_classes(task.classes), *split_notes]
    return DataSet(task, images, notes)


def _split_folders(folder: Path) -> dict[str, Path]:
    """Return the folder of each split; a tree without split folders has the one key NO_SPLIT."""
    names = _list_outer_folder(folder).folders
    if not names:
        raise DataError(f"{folder}: holds no folders, expected <class>/<image>")
    by_split = {name: SPLIT_SPELLINGS[name.lower()] for name in names if _is_split(name)}
    # A class may be named "train" as well: split folders hold folders, class folders hold images.
    split_folders = [name for name in by_split if list_folder(folder / name).folders]
    if not split_folders:
        if len(by_split) == len(names):
            raise DataError(
                f"{folder / names[0]}: holds no class folders, expected {names[0]}/<class>/<image>"
            )
        return {NO_SPLIT: folder}
    places: dict[str, Path] = {}
    for name in names:
        if name not in by_split:
            raise DataError(
                f"{folder / name}: found beside the split folder {split_folders[0]}, "
                "expected train, val or test"
            )
        first = places.setdefault(by_split[name], folder / name)
        if first != folder / name:
            raise DataError(
                f"{folder / name}: is a second folder of the split {by_split[name]}, beside {first}"
            )
    if "train" not in places:
        raise DataError(f"{folder}: expected a folder train, found {', '.join(names)}")
    return {split: places[split] for split in SPLITS if split in places}


def _is_split(name: str) -> bool:
    return name.lower() in SPLIT_SPELLINGS


def _list_outer_folder(folder: Path) -> FolderContent:
    """Return what lies in a folder of class or split folders; DataError when it holds images."""
    content = list_folder(folder)
    if content.images:
        raise DataError(
            f"{folder / content.images[0]}: is an image outside a class folder, "
            "expected <class>/<image>"
        )
    return content


def _leave_out_unlabelled(places: dict[str, Path]) -> list[str]:
    """Remove the split test from ``places`` when it is images without classes; return a note.

    Competitions publish their test images like that, beside train of class folders.
    """
    folder = places.get("test")
    if folder is None:
        return []
    content = list_images_of_folder(folder)
    if content.folders or not content.images:
        return []
    del places["test"]
    count = len(content.images)
    without = "without a class is" if count == 1 else "without classes are"
    images = f"{counted(count, 'image')} {without}"
    command = f"fashionai predict --questions {shlex.quote(str(folder))} --out FILE"
    return [f"{folder}: {images} left out; predict with: {command}"]


def _read_tree(folder: Path, given: Sequence[str]) -> ClassTree:
    content = _list_outer_folder(folder)
    classes = {name: list_class_folder(folder / name) for name in content.folders}
    names = names_of_classes(classes, given)
    first: dict[str, str] = {}
    for name, label in names.items():
        other = first.setdefault(label, name)
        if other != name:
            raise DataError(f"{folder}: folders '{other}' and '{name}' are both class '{label}'")
    return ClassTree(folder, classes, names, content.others)


def _check_given(tree: ClassTree, given: Sequence[str]) -> None:
    for name, label in tree.names.items():
        if label not in given:
            raise DataError(
                f"{tree.folder / name}: not one of the given classes",
                hint_at_given_class(label, given, tree.names.values()),
            )


def _check_known(tree: ClassTree, known: Sequence[str], train: Path) -> None:
    for name, label in tree.names.items():
        if label not in known:
            raise DataError(
                f"{tree.folder / name}: no such class in {train}", nearest(label, known)
            )


def _check_images(tree: ClassTree) -> None:
    """Raise DataError for a class folder with files of which none is an image."""
    for name, content in tree.classes.items():
        if content.others and not content.images:
            raise DataError(
                f"{tree.folder / name}: holds no image, only files such as {content.others[0]}",
                "Remove the folder, or convert its files to images",
            )


def _image_paths(tree: ClassTree) -> list[Path]:
    return [
        tree.folder / name / image
        for name, content in tree.classes.items()
        for image in content.images
    ]


def _other_files(tree: ClassTree, root: Path) -> list[str]:
    """Return the paths, relative to ``root``, of the files of a tree that are not images."""
    paths = [tree.folder / name for name in tree.others]
    for name, content in tree.classes.items():
        paths += [tree.folder / name / other for other in content.others]
    return [path.relative_to(root).as_posix() for path in paths]
