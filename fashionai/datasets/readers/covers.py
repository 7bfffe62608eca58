"""Video covers with and without a cat: one folder each, with images of any format and name."""

from __future__ import annotations

from pathlib import Path

from fashionai.datasets.readers.image_files import list_class_folder, note_on_other_files
from fashionai.datasets.readers.reader import HINT_AT_DATA, Reader
from fashionai.datasets.records import DataSet, LabelledImage
from fashionai.errors import DataError
from fashionai.families import COVERS
from fashionai.tasks import Task

# The folders of the classes, in class order.
CLASS_FOLDERS = ("negative", "positive")


def read_covers(data: Path, task: Task = COVERS) -> DataSet:
    """Read ``samples/positive`` and ``samples/negative``; the folder ``samples`` may be left out.

    A file without an image suffix counts when its content is an image, because images from the
    web may lack a suffix. Raises DataError for a folder that is missing, that has no images, or
    that holds folders.
    """
    root = data / "samples" if (data / "samples").is_dir() else data
    images: list[LabelledImage] = []
    others: list[str] = []
    for class_index, label in enumerate(CLASS_FOLDERS):
        folder = root / label
        if not folder.is_dir():
            raise DataError(
                f"{folder}: no such folder, expected the images of '{label}'", HINT_AT_DATA
            )
        content = list_class_folder(folder)
        others += [(folder / name).relative_to(data).as_posix() for name in content.others]
        if not content.images:
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
            for name in content.images
        ]
    return DataSet(task, images, note_on_other_files(others))


READER = Reader(read_covers)
