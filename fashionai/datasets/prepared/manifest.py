"""The manifest of a prepared folder, and the files in its class folders."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fashionai.datasets.names import SPLITS
from fashionai.datasets.records import LabelledImage
from fashionai.errors import DataError
from fashionai.files.counts import parse_count
from fashionai.files.formats.csv_files import write_rows
from fashionai.files.names import SYSTEM_FILES
from fashionai.tasks import Task

MANIFEST = "manifest.csv"
# The unfinished manifest. It lists the files that an interrupted prepare may have left.
PARTIAL_MANIFEST = "manifest.csv.partial"
MANIFEST_COLUMNS = ("split", "class_index", "class_name", "file", "source", "label")
# The columns that follow: of a data set with groups, and of one with pseudo-labels, which has the
# probability of each predicted class and is empty for labelled images.
GROUP_COLUMN, PSEUDO_COLUMN = LATER_COLUMNS = ("group", "pseudo_label")


class PlannedImage(NamedTuple):
    """An image with the split and the file name that it gets in the task's folder."""

    image: LabelledImage
    split: str
    file: str

    def place(self, task: Task) -> str:
        """Return the path relative to the task's folder: ``<split>/<class folder>/<file>``."""
        return f"{self.split}/{task.folder_names[self.image.class_index]}/{self.file}"


def write_manifest(path: Path, task: Task, planned: Sequence[PlannedImage]) -> None:
    """Write the manifest of these images, with a later column only where an image has a value."""
    later: dict[str, list[object]] = {
        GROUP_COLUMN: [item.image.group for item in planned],
        PSEUDO_COLUMN: [item.image.probability for item in planned],
    }
    used = {
        name: values
        for name, values in later.items()
        if any(value not in ("", None) for value in values)
    }
    rows: list[tuple[object, ...]] = [(*MANIFEST_COLUMNS, *used)]
    for number, (image, split, file) in enumerate(planned):
        index = image.class_index
        row = (split, index, task.labels[index], file, image.source, image.label)
        rows.append((*row, *(values[number] for values in used.values())))
    write_rows(path, rows)


def read_manifest(path: Path) -> list[dict[str, str]]:
    """Read the rows of a manifest; DataError for a file that is no manifest."""
    try:
        with open(path, encoding="utf-8", newline="") as handle:
            reader = csv.DictReader(handle)
            rows, found = list(reader), tuple(reader.fieldnames or ())
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV: {error}") from None
    later = tuple(name for name in LATER_COLUMNS if name in found)
    if found != (*MANIFEST_COLUMNS, *later):
        columns = ",".join(found)
        raise DataError(f"{path}: found columns '{columns}', expected {','.join(MANIFEST_COLUMNS)}")
    return rows


def listed_places(manifest: Path) -> set[str]:
    """Return the places of a manifest's files.

    Class folders are found by their index, because class names may have changed.
    """
    if not manifest.is_file():
        return set()
    folders: dict[tuple[str, str], list[str]] = {}
    for class_folder in class_folders(manifest.parent, SPLITS):
        index = parse_count(class_folder.name.split("_")[0])
        if index is not None:
            key = class_folder.parent.name, str(index)
            # A folder of a former class stays if it holds other files than prepare's.
            folders.setdefault(key, []).append(class_folder.name)
    return {
        f"{row['split']}/{name}/{row['file']}"
        for row in read_manifest(manifest)
        for name in folders.get((row["split"], row["class_index"]), ())
    }


def class_folders(folder: Path, splits: Iterable[str]) -> Iterator[Path]:
    """Yield the folders directly below the existing splits, without hidden ones."""
    for split in splits:
        if (folder / split).is_dir():
            for path in sorted((folder / split).iterdir()):
                if path.is_dir() and not path.name.startswith("."):
                    yield path


def files_below(folder: Path, splits: Iterable[str]) -> Iterable[str]:
    """Yield the places of all files in class folders, without hidden ones and those of systems."""
    for class_folder in class_folders(folder, splits):
        for entry in os.scandir(class_folder):
            if not entry.name.startswith(".") and entry.name not in SYSTEM_FILES:
                yield f"{class_folder.parent.name}/{class_folder.name}/{entry.name}"
