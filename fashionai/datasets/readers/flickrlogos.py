"""FlickrLogos-32 v2: lists of relative paths, one for each part of the data set.

A row is ``classes/jpg/<brand>/<file>.jpg``. There are two validation lists, one of images with a
logo and one of images without. The training list has only images with a logo, so a share of
the validation images without a logo becomes training images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from fashionai.datasets.readers.image_files import ImageFiles, list_folder, safe_relative_path
from fashionai.datasets.readers.reader import Reader
from fashionai.datasets.records import DataSet, LabelledImage
from fashionai.errors import ConfigError, DataError, counted, nearest, shown
from fashionai.families import LOGOS
from fashionai.files.formats import csv_files
from fashionai.files.formats.text_files import read_text
from fashionai.files.names import is_image_name
from fashionai.tasks import Task

NO_LOGO = LOGOS.background
IMAGES_FOLDER = "classes/jpg"
ROW_FORMAT = f"{IMAGES_FOLDER}/<brand>/<file>.jpg"
TRAIN_LIST, VAL_LIST, VAL_NO_LOGO_LIST, TEST_LIST = (
    f"{name}.relpaths.txt" for name in ("trainset", "valset-logosonly", "valset-nologos", "testset")
)
# The number of rows of each list in the complete data set.
LIST_SIZES = {TRAIN_LIST: 320, VAL_LIST: 960, VAL_NO_LOGO_LIST: 3000, TEST_LIST: 3960}


class LogoRow(NamedTuple):
    """One row of a list: a path, and its brand as the task and as the list spell it.

    ``label`` is the list's spelling, and ``where`` the place of the row (file:line).
    """

    image: str
    brand: str
    label: str
    where: str


def read_logos(data: Path, task: Task = LOGOS, *, no_logo_share: float = 0.5) -> DataSet:
    """Read the images of the four lists in ``data`` or ``data/FlickrLogos-v2``, with their splits.

    The first ``round(no_logo_share * rows)`` images of the validation list without logos become
    training images; the share is in [0, 1). With a share of 0, no-logo is not a class but the
    background of the task: such images have the index after the last class, and none of them
    is for training. Raises ConfigError for a share out of range or of no image, and DataError
    for missing lists and images, malformed rows, unknown brands and repeated images.
    """
    if not 0 <= no_logo_share < 1:
        raise ConfigError(f"no_logo_share: found {no_logo_share}, expected 0 or more and below 1")
    places = (data, data / "FlickrLogos-v2")
    root = next((p for p in places if any((p / name).is_file() for name in LIST_SIZES)), data)
    lists = {name: list(_read_list(root / name)) for name in LIST_SIZES}
    _check_kinds(lists)
    _check_distinct(lists)
    moved = round(no_logo_share * len(lists[VAL_NO_LOGO_LIST]))
    if no_logo_share and not moved:
        raise ConfigError(
            f"no_logo_share: {no_logo_share} of "
            f"{counted(len(lists[VAL_NO_LOGO_LIST]), 'image')} is less than one image",
            "Give a larger share, or 0 to train on the brands only",
        )
    if not no_logo_share:
        task = _without_background_class(task)
    splits = {
        "train": lists[TRAIN_LIST] + lists[VAL_NO_LOGO_LIST][:moved],
        "val": lists[VAL_LIST] + lists[VAL_NO_LOGO_LIST][moved:],
        "test": lists[TEST_LIST],
    }
    notes = [
        f"{name} has {counted(len(rows), 'row')}; the complete data set has {LIST_SIZES[name]:,}"
        for name, rows in lists.items()
        if len(rows) != LIST_SIZES[name]
    ]
    guesses = [note for name in LIST_SIZES for note in csv_files.note_on_encoding(root / name)]
    return DataSet(task, _find_images(splits, task, data, root), notes, guesses=guesses)


def _without_background_class(task: Task) -> Task:
    return replace(task, classes=tuple(name for name in task.classes if name != NO_LOGO))


def _read_list(path: Path) -> Iterator[LogoRow]:
    spellings = {name.lower(): name for name in LOGOS.classes}
    if not path.exists():
        raise DataError(
            f"{path}: no such list",
            "FlickrLogos-32 v2 has it beside the folder 'classes'; give that folder with --data",
        )
    lines = read_text(path, f"rows {ROW_FORMAT}").text.splitlines()
    if not any(line.strip() for line in lines):
        raise DataError(f"{path}: no rows, expected {ROW_FORMAT}")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        image = safe_relative_path(line.strip(), where, ROW_FORMAT)
        folder, _, name = image.rpartition("/")
        parent, _, label = folder.rpartition("/")
        if parent != IMAGES_FOLDER or not is_image_name(name):
            raise DataError(f"{where}: found '{shown(line.strip())}', expected {ROW_FORMAT}")
        if label.lower() not in spellings:
            raise DataError(
                f"{where}: unknown brand '{shown(label)}'", nearest(label, LOGOS.classes)
            )
        yield LogoRow(image, spellings[label.lower()], label, where)


def _check_kinds(lists: dict[str, list[LogoRow]]) -> None:
    """Raise DataError for no-logo in a list of brands, and for a brand in the list of no-logo.

    The test list may have both.
    """
    for name in (TRAIN_LIST, VAL_LIST, VAL_NO_LOGO_LIST):
        for row in lists[name]:
            if (row.brand == NO_LOGO) != (name == VAL_NO_LOGO_LIST):
                expected = NO_LOGO if name == VAL_NO_LOGO_LIST else "a brand"
                raise DataError(f"{row.where}: found '{row.label}', expected {expected}")


def _check_distinct(lists: dict[str, list[LogoRow]]) -> None:
    """Raise DataError for an image that is in two rows of the lists."""
    seen: dict[str, str] = {}
    for rows in lists.values():
        for row in rows:
            first = seen.setdefault(row.image.lower(), row.where)
            if first != row.where:
                raise DataError(f"{row.where}: {row.image} is listed twice, first at {first}")


def _find_images(
    splits: dict[str, list[LogoRow]], task: Task, data: Path, root: Path
) -> list[LabelledImage]:
    """Return the images of all rows; a brand's folder may differ in letter case (HP and hp)."""
    files = ImageFiles(root)
    folders = list_folder(root / IMAGES_FOLDER).folders
    by_lower_case = {folder.lower(): folder for folder in folders}
    indices = {name: index for index, name in enumerate(task.classes)}
    images, missing = [], []
    for split, rows in splits.items():
        for row in rows:
            folder = row.label
            if folder not in folders:
                folder = by_lower_case.get(folder.lower(), folder)
            listed = f"{IMAGES_FOLDER}/{folder}/{row.image.rpartition('/')[2]}"
            image = files.find(listed, row.where) or listed
            if image.rpartition("/")[2] not in files.names(f"{IMAGES_FOLDER}/{folder}"):
                missing.append((image, row.where))
            images.append(
                LabelledImage(
                    source=(root / image).relative_to(data).as_posix(),
                    path=root / image,
                    content=None,
                    class_index=indices.get(row.brand, len(task.classes)),
                    label=row.label,
                    where=row.where,
                    split=split,
                )
            )
    if missing:
        raise files.missing(missing)
    return images


READER = Reader(read_logos)
