"""Video covers, cat or not: a folder of each, images of any format and name."""

from __future__ import annotations

from pathlib import Path

from fashionai.datasets.readers.image_files import (
    holds_image,
    list_class_folder,
    note_on_other_files,
)
from fashionai.datasets.readers.reader import Reader
from fashionai.datasets.records import DataSet, LabelledImage
from fashionai.errors import DataError
from fashionai.families import COVERS

# Folders in the order of the task's classes.
CLASS_FOLDERS = ("negative", "positive")


def read_covers(data: Path) -> DataSet:
    """Images of ``samples/positive`` and ``samples/negative``, or without ``samples``.

    Files from the web may lack a suffix: those count if they are images. Raises
    DataError for a folder that is missing, without images, or with folders in it.
    """
    root = data / "samples" if (data / "samples").is_dir() else data
    images: list[LabelledImage] = []
    others: list[str] = []
    for class_index, label in enumerate(CLASS_FOLDERS):
        folder = root / label
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder, expected images of '{label}' there")
        content = list_class_folder(folder)
        unnamed = {name for name in content.others if holds_image(folder / name)}
        others += [
            (folder / name).relative_to(data).as_posix()
            for name in content.others
            if name not in unnamed
        ]
        names = sorted([*content.images, *unnamed])
        if not names:
            raise DataError(f"{folder}: no images")
        images += [
            LabelledImage(
                source=(folder / name).relative_to(data).as_posix(),
                path=folder / name,
                content=None,
                class_index=class_index,
                label=label,
                where=str(folder / name),
            )
            for name in names
        ]
    return DataSet(COVERS, images, note_on_other_files(others))


READER = Reader(lambda data, task: read_covers(data))
