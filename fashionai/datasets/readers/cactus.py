"""Aerial cactus identification (Kaggle): ``train.csv``, and images in folders or archives.

The images of train lie in ``train/``, in ``train/train/`` or in ``train.zip``, depending on
whether and how the archive was unpacked; the images of test do likewise.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from fashionai.datasets.readers.image_files import ImageFiles, safe_relative_path
from fashionai.datasets.readers.reader import HINT_AT_DATA, QuestionFile, Reader
from fashionai.datasets.records import DataSet, ImageToPredict, LabelledImage
from fashionai.errors import DataError, counted, shown
from fashionai.families import CACTUS
from fashionai.files.formats import csv_files
from fashionai.pipeline.decode import ImageFile
from fashionai.tasks import Task

HEADER = ["id", "has_cactus"]
LABELS = ("0", "1")
SAMPLE_SUBMISSION = "sample_submission.csv"
# The share of the 17,500 images that the published recipe validates on.
VAL_FRACTION = 0.01
# In bytes. The images are thumbnails of about 1 KB; a much larger member of an archive is not
# one of them and could exhaust the memory.
LARGEST_MEMBER = 16 * 2**20
# Compressed images shrink by a few percent in an archive. What unpacks to many times the archive's
# size is an attack on the memory, which holds the images of an archive.
MOST_UNPACKED = 10
# The bit of a zip member's flags that marks it as encrypted.
ENCRYPTED_FLAG = 1


class IdRow(NamedTuple):
    """One row of a file with the header id,has_cactus; ``where`` is its place (file:line)."""

    id: str
    value: str
    where: str


def read_cactus(data: Path, task: Task = CACTUS) -> DataSet:
    """Read the images of ``train.csv`` in the order of its rows.

    Images in an archive are read as bytes. Raises DataError for another header, labels other
    than 0 and 1, repeated ids, missing images, and archives that are damaged or unsafe.
    """
    if not (data / "train.csv").exists():
        raise DataError(f"{data / 'train.csv'}: no such file", HINT_AT_DATA)
    rows = _read_id_rows(data / "train.csv")
    for row in rows:
        if row.value not in LABELS:
            raise DataError(f"{row.where}: has_cactus is '{shown(row.value)}', expected 0 or 1")
    found = _find_images(data, "train", rows)
    images = [
        LabelledImage(
            source=place,
            path=image if isinstance(image, Path) else None,
            content=None if isinstance(image, Path) else image.read_bytes(),
            class_index=LABELS.index(row.value),
            label=row.value,
            where=row.where,
        )
        for row, (place, image) in zip(rows, found)
    ]
    guesses = csv_files.note_on_encoding(data / "train.csv")
    return DataSet(task, images, [], VAL_FRACTION, guesses)


def read_sample_submission(data_or_csv: Path, data: Path) -> list[ImageToPredict]:
    """Return the test images of ``sample_submission.csv`` in its order.

    ``data_or_csv`` is that file or its folder. The images are files or members of an archive.
    Raises DataError as read_cactus does.
    """
    path = data_or_csv / SAMPLE_SUBMISSION if data_or_csv.is_dir() else data_or_csv
    rows = _read_id_rows(path)
    found = _find_images(path.parent, "test", rows)
    return [ImageToPredict(row.id, image, None) for row, (_, image) in zip(rows, found)]


def read_ids(path: Path) -> list[tuple[str, Optional[Task]]]:
    """Return the ids of a file with the header id,has_cactus; the images need not exist."""
    return [(row.id, None) for row in _read_id_rows(path)]


def _read_id_rows(path: Path) -> list[IdRow]:
    rows: list[IdRow] = []
    seen: dict[str, str] = {}
    expected = ",".join(HEADER)
    for position, (fields, where) in enumerate(csv_files.read_csv_rows(path)):
        if position == 0:
            if fields != HEADER:
                raise DataError(
                    f"{where}: header is '{shown(','.join(fields))}', expected {expected}"
                )
            continue
        if len(fields) != len(HEADER):
            count = counted(len(fields), "field")
            raise DataError(f"{where}: found {count}, expected {expected}")
        name = safe_relative_path(fields[0], where, "the name of an image")
        first = seen.setdefault(name, where)
        if first != where:
            raise DataError(f"{where}: {shown(name)} is listed twice, first at {first}")
        rows.append(IdRow(name, fields[1], where))
    if not rows:
        raise DataError(f"{path}: no rows, expected {expected}")
    return rows


def _find_images(data: Path, part: str, rows: Sequence[IdRow]) -> list[tuple[str, ImageFile]]:
    """Return the path relative to ``data`` and the file of every row's image.

    All images come from one place: the first of the folders ``<part>`` and ``<part>/<part>``
    that has any of them, else the archive ``<part>.zip``.
    """
    files = ImageFiles(data)
    for folder in (part, f"{part}/{part}"):
        found = [files.find(f"{folder}/{row.id}", row.where) for row in rows]
        if any(found):
            missing = [(f"{folder}/{row.id}", row.where) for row, at in zip(rows, found) if not at]
            if missing:
                raise files.missing(missing)
            return [(place, data / place) for place in found if place]
    path = data / f"{part}.zip"
    if not path.is_file():
        places = f"{part}/, {part}/{part}/ or {part}.zip"
        raise DataError(f"{rows[0].where}: image {rows[0].id} not found in {places} of {data}")
    return _find_members(path, part, rows)


def _find_members(path: Path, part: str, rows: Sequence[IdRow]) -> list[tuple[str, ImageFile]]:
    try:
        archive = zipfile.ZipFile(path)
    # NotImplementedError: the archive is for a later version of zip.
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as an archive: {error}") from None
    with archive:
        members = _index_members(archive, path, part)
        missing = [row for row in rows if row.id not in members]
        if missing:
            more = f" (and {len(missing) - 1:,} more)" if len(missing) > 1 else ""
            raise DataError(f"{missing[0].where}: image {missing[0].id} not found in {path}{more}")
        _check_sizes([members[row.id] for row in rows], path)
        for row in rows:
            _check_member(archive, members[row.id], path)
    # Not made from the ZipFile above, which is closed by now.
    root = zipfile.Path(path)
    names = [members[row.id].filename for row in rows]
    return [(f"{path.name}/{name}", root / name) for name in names]


def _index_members(archive: zipfile.ZipFile, path: Path, part: str) -> dict[str, zipfile.ZipInfo]:
    """Return the members in the root, ``<part>/`` and ``<part>/<part>/`` of an archive, by name."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        place = safe_relative_path(info.filename, str(path), f"members below {part}/")
        folder, _, name = place.rpartition("/")
        if info.is_dir() or folder not in ("", part, f"{part}/{part}"):
            continue
        if name in members:
            first = members[name].filename
            raise DataError(f"{path}: holds {name} twice: {first} and {info.filename}")
        members[name] = info
    return members


def _check_sizes(members: Sequence[zipfile.ZipInfo], path: Path) -> None:
    """Raise DataError for members that are too large, alone or together."""
    for info in members:
        if info.file_size > LARGEST_MEMBER:
            raise DataError(
                f"{path}: member {info.filename} has {counted(info.file_size, 'byte')}, "
                f"expected at most {LARGEST_MEMBER:,}"
            )
    unpacked, size = sum(info.file_size for info in members), path.stat().st_size
    if unpacked > max(LARGEST_MEMBER, MOST_UNPACKED * size):
        images = counted(len(members), "image")
        raise DataError(
            f"{path}: {images} would unpack to {counted(unpacked, 'byte')}, "
            f"expected at most {MOST_UNPACKED} times the {counted(size, 'byte')} of the archive"
        )


def _check_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> None:
    """Raise DataError for a member that is unsafe or damaged; reading it compares its checksum."""
    member = f"{path}: member {info.filename}"
    if info.flag_bits & ENCRYPTED_FLAG:
        raise DataError(f"{member} is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{member} is compressed by method {info.compress_type}, expected deflate")
    try:
        archive.read(info)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise DataError(f"{member} is damaged: {error}") from None


def _has_cactus_header(first_rows: Sequence[Sequence[str]]) -> bool:
    return list(first_rows[:1]) == [HEADER]


READER = Reader(
    read_cactus,
    QuestionFile(
        place=SAMPLE_SUBMISSION,
        matches=_has_cactus_header,
        read=read_sample_submission,
        names=read_ids,
    ),
    label_columns=("hascactus",),
)
