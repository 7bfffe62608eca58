"""The images to predict: those of a competition's question file, or the user's own.

The user's own are one image, a folder, a list of paths, or any CSV file with a column of paths.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from fashionai.datasets.readers.image_files import (
    ImageFiles,
    list_folder,
    list_images_of_folder,
    note_on_other_files,
)
from fashionai.datasets.readers.reader import QuestionFile, readers
from fashionai.datasets.readers.tables.csv_dialect import (
    DELIMITERS,
    NO_DELIMITER,
    PATH_COLUMN_NAMES,
    TableFile,
    column_position,
    find_delimiter,
    first_rows,
    is_existing_file,
    listed,
    normalized_name,
    note_on_delimiter,
    read_table_file,
    read_table_rows,
)
from fashionai.datasets.readers.tables.header import is_header, note_on_header
from fashionai.datasets.records import ImageToPredict
from fashionai.errors import ConfigError, DataError, shown
from fashionai.files.formats import csv_files
from fashionai.files.names import is_image_name
from fashionai.files.paths import similar_path
from fashionai.tasks import Task

logger = logging.getLogger(__name__)


def read_images_to_predict(
    path: Path, data: Path, path_column: Optional[str] = None, images: Optional[Path] = None
) -> list[ImageToPredict]:
    """Return the images of a question file, a list or a CSV file in its order, or of a folder.

    ``path`` may also be a single image. Paths in a list or CSV file are relative to ``images``, or
    to the file's own folder without it; those in a competition's question file are also looked
    for below ``images``, or below ``data`` without it. ``path_column`` is the name or the number,
    from 1, of the column of paths in a CSV file; without it, the column is found by its name or
    because it holds images. The log tells how a file was read, and what was left out of a folder.
    Raises DataError for rows that cannot be read and for missing or repeated images, and
    ConfigError when the column is not found or when ``path_column`` or ``images`` is given with a
    folder or an image.
    """
    for option, value in (("--path-column", path_column), ("--images", images)):
        if value is not None and (path.is_dir() or is_image_name(path.name)):
            kind = "a folder" if path.is_dir() else "an image"
            raise ConfigError(f"{option}: goes with a CSV file, but {path} is {kind}")
    if path.is_dir():
        return _read_folder(path)
    if not path.is_file():
        raise DataError(
            f"{path}: no such file or folder, expected the images to predict", similar_path(path)
        )
    if is_image_name(path.name):
        return [ImageToPredict(path.name, path, None)]
    known = None if path_column else _known_question_file(path)
    if known is not None:
        for note in csv_files.note_on_encoding(path):
            logger.info(note)
        return known.read(path, images or data)
    return _find_images(*_read_path_rows(path, images or path.parent, path_column))


def names_to_predict(path: Path) -> list[tuple[str, Optional[Task]]]:
    """Return the image name of each row of a question file, and the row's task if it names one.

    The images need not exist. Raises DataError for a file that cannot be read, and ConfigError
    when it is unclear which column holds the paths.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file, expected a question file")
    known = _known_question_file(path)
    if known is not None:
        return known.names(path)
    rows, _ = _read_path_rows(path, path.parent, None)
    return [(row.text, None) for row in rows]


def list_images(folder: Path) -> list[str]:
    """Return the images below a folder, at any depth, as sorted relative paths.

    Hidden files and folders are skipped, and links to folders are followed. A file without any
    suffix counts when its content is an image, because images from the web may lack a suffix.
    The log names files that are left out. Raises DataError for a folder without images, for a
    link to a folder above itself, and for names that are not UTF-8.
    """
    found: list[str] = []
    others: list[str] = []
    for place in _folders_below(folder, ()):
        content = list_images_of_folder(place)
        for names, kind in ((content.images, found), (content.others, others)):
            kind += [(place / name).relative_to(folder).as_posix() for name in names]
    if not found:
        raise DataError(f"{folder}: no images found")
    for note in note_on_other_files(sorted(others)):
        logger.warning(f"{folder}: {note}")
    return sorted(found)


def _folders_below(folder: Path, above: Sequence[str]) -> Iterator[Path]:
    """Yield a folder and all folders below it; ``above`` are the real paths of those above it."""
    real_path = os.path.realpath(folder)
    if real_path in above:
        raise DataError(f"{folder}: is a link to a folder above it", "Remove the link")
    yield folder
    for name in list_folder(folder).folders:
        yield from _folders_below(folder / name, [*above, real_path])


def _read_folder(folder: Path) -> list[ImageToPredict]:
    return [ImageToPredict(image, image, None, folder) for image in list_images(folder)]


def _known_question_file(path: Path) -> Optional[QuestionFile]:
    """Return the competition's format that a file has; None for any other file."""
    first_rows = [fields for fields, _ in itertools.islice(csv_files.read_csv_rows(path), 2)]
    formats = (reader.questions for reader in readers())
    return next((each for each in formats if each is not None and each.matches(first_rows)), None)


class _PathRow(NamedTuple):
    """One row: the path as the file has it, its safe form, and the row's place (file:line)."""

    text: str
    path: str
    where: str


def _read_path_rows(
    path: Path, folder: Path, path_column: Optional[str]
) -> tuple[list[_PathRow], ImageFiles]:
    """Return the rows of a list or CSV file, and the files below the folder of its images."""
    file = read_table_file(path)
    first_line = next(line.strip() for line in file.first_lines() if line.strip())
    files = ImageFiles(folder)

    def exists(field: str) -> bool:
        return is_existing_file(field, files)

    is_table = any(delimiter in first_line for delimiter in DELIMITERS)
    if path_column is None and exists(first_line):
        is_table = False  # a path that contains a delimiter
    delimiter = find_delimiter(file, exists) if is_table else NO_DELIMITER
    dialect_rows = first_rows(file, delimiter)
    column, has_header = _find_path_column(dialect_rows, path_column, exists, path)
    rows = [
        _PathRow(fields[column], files.relative_path(fields[column], where, "a path"), where)
        for fields, where in read_table_rows(file, delimiter, len(dialect_rows[0]), has_header)
    ]
    if not rows:
        raise DataError(f"{path}: no rows below its header")
    for note in _guesses(file, delimiter, dialect_rows[0], column, has_header):
        logger.info(note)
    return rows, files


def _guesses(
    file: TableFile, delimiter: str, first: Sequence[str], column: int, has_header: bool
) -> list[str]:
    """Return lines for the user about how the file was read."""
    notes = [*file.notes]
    if len(first) > 1:
        notes.append(note_on_delimiter(file, delimiter))
    notes.append(note_on_header(file.path, first, has_header))
    if len(first) > 1:
        notes.append(f"{file.path}: paths in column {column + 1}")
    return notes


def _find_path_column(
    rows: Sequence[Sequence[str]],
    given: Optional[str],
    exists: Callable[[str], bool],
    path: Path,
) -> tuple[int, bool]:
    """Return the position of the column of paths, and whether the first row is a header."""
    if given is not None:
        column = column_position("path", given, rows[0], path)
        if not given.isdecimal():
            return column, True
    else:
        column = _guess_path_column(rows[0], exists, path)
    # A list whose first path does not exist has no header: the path is reported as missing.
    return column, is_header(rows, column, None, exists, otherwise=given is not None)


def _guess_path_column(first_row: Sequence[str], exists: Callable[[str], bool], path: Path) -> int:
    """Return the column of paths: the first with an image's suffix, else the one with a usual
    name, else the first whose image exists, else the only one.

    Raises ConfigError when there is none or when several have a usual name.
    """
    columns = range(len(first_row))
    images = [column for column in columns if is_image_name(first_row[column])]
    if images:
        return images[0]
    usual = [
        column for column in columns if normalized_name(first_row[column]) in PATH_COLUMN_NAMES
    ]
    existing = [column for column in columns if exists(first_row[column])]
    found = usual if len(usual) == 1 else existing[:1] or usual
    if not found and len(first_row) == 1:
        return 0
    if len(found) != 1:
        raise ConfigError(
            f"{path}:1: cannot tell which column holds the paths of the images: "
            f"{listed(first_row)}",
            "Name it with --path-column",
        )
    return found[0]


def _find_images(rows: Sequence[_PathRow], files: ImageFiles) -> list[ImageToPredict]:
    """Return the images of all rows."""
    images: list[ImageToPredict] = []
    missing: list[tuple[str, str]] = []
    first_places: dict[str, str] = {}
    for text, path, where in rows:
        image = files.find(path, where)
        if image is None:
            missing.append((path, where))
            continue
        first = first_places.setdefault(image, where)
        if first != where:
            raise DataError(f"{where}: {shown(text)} is listed twice, first at {first}")
        # One text for both takes less memory.
        file = text if text == image else image
        images.append(ImageToPredict(text, file, None, files.root))
    if missing:
        raise files.missing_of_user(missing)
    return images
