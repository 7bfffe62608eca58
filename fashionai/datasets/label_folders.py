"""The user's own labels as class folders: ``<class>/<image>`` or ``<split>/<class>/<image>``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fashionai.datasets.names import SPLITS
from fashionai.datasets.prepared.manifest import PARTIAL_MANIFEST
from fashionai.datasets.questions import list_images
from fashionai.datasets.readers.class_names import names_of_classes
from fashionai.datasets.readers.given_splits import SPLIT_SPELLINGS
from fashionai.datasets.readers.image_files import list_folder
from fashionai.datasets.readers.label_list import ListedLabel
from fashionai.errors import DataError, nearest
from fashionai.files.names import comparable
from fashionai.tasks import TASK_FILE


def holds_class_folders(folder: Path) -> bool:
    """Whether a folder holds folders and is no prepared folder, not even an unfinished one."""
    is_prepared = any((folder / name).exists() for name in (TASK_FILE, PARTIAL_MANIFEST))
    return not is_prepared and bool(list_folder(folder).folders)


def read_label_folders(folder: Path, labels: Sequence[str]) -> list[ListedLabel]:
    """The images below a folder, by path, with the labels that their folders are named after.

    ``labels`` are the names of all labels by index. Files that are not images are left out, and
    the log names them. Raises DataError for a folder that names no label and for images that lie
    elsewhere than in a class folder.
    """
    listed = []
    paths = list_images(folder)
    known = {comparable(label): index for index, label in enumerate(labels)}
    parts_of = {path: path.split("/") for path in paths}
    names = names_of_classes({parts[-2] for parts in parts_of.values() if len(parts) > 1}, labels)
    for path, (*places, _) in parts_of.items():
        split = SPLIT_SPELLINGS.get(places[0].lower()) if len(places) == 2 else None
        if len(places) not in (1, 2) or (len(places) == 2 and split is None):
            raise DataError(
                f"{folder / path}: lies in no class folder, expected <class>/<image> or "
                f"<split>/<class>/<image>, where a split is one of {', '.join(SPLITS)}"
            )
        index = known.get(names[places[-1]])
        if index is None:
            where = folder / "/".join(places)
            raise DataError(f"{where}: unknown class '{places[-1]}'", nearest(places[-1], labels))
        listed.append(ListedLabel(path, index, str(folder / path), split))
    return listed
