"""The images to predict: those of a competition's question file, or the user's own.

The user's own are one image, a folder, a list of paths, or any CSV file with a column of paths.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from fashionai.datasets.readers.csv_dialect import (
    DELIMITERS,
    DIALECT_LINES,
    PATH_COLUMN_NAMES,
    column_position,
    find_delimiter,
    is_existing_file,
    normalized_name,
    parse_lines,
    read_lines,
    read_table_rows,
)
from fashionai.datasets.readers.image_files import (
    ImageFiles,
    holds_image,
    is_image_name,
    safe_relative_path,
)
from fashionai.datasets.readers.reader import QuestionFile, readers
from fashionai.datasets.records import ImageToPredict
from fashionai.errors import ConfigError, DataError
from fashionai.files import csv_files
from fashionai.tasks import Task


def read_images_to_predict(
    path: Path, data: Path, path_column: Optional[str] = None
) -> list[ImageToPredict]:
    """Return the images of a question file, a list or a CSV file in its order, or of a folder.

    ``path`` may also be a single image. Paths in a file are relative to the file's own folder
    or to ``data``. ``path_column`` is the name or the number, from 1, of the column of paths in
    a CSV file; without it, the column is found by its name or because it holds images. Raises
    DataError for rows that cannot be read and for missing or repeated images, and ConfigError
    when the column is not found.
    """
    if path.is_dir():
        return _read_folder(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder, expected the images to predict")
    if is_image_name(path.name):
        return [ImageToPredict(path.name, path, None)]
    known = None if path_column else _known_question_file(path)
    if known is not None:
        return known.read(path, data)
    return _read_list(path, data, path_column)


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

    Hidden files and folders are skipped. A file without an image suffix counts when its content
    is an image, because images from the web may lack a suffix. Raises DataError for a folder
    without images.
    """
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            (Path(place) / name).relative_to(folder).as_posix()
            for name in files
            if not name.startswith(".") and (is_image_name(name) or holds_image(Path(place) / name))
        ]
    if not found:
        raise DataError(f"{folder}: no images found")
    return sorted(found)


def _read_folder(folder: Path) -> list[ImageToPredict]:
    return [ImageToPredict(image, folder / image, None) for image in list_images(folder)]


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


def _read_list(path: Path, data: Path, path_column: Optional[str]) -> list[ImageToPredict]:
    rows, places = _read_path_rows(path, data, path_column)
    return _find_images(rows, places)


def _read_path_rows(
    path: Path, data: Path, path_column: Optional[str]
) -> tuple[list[_PathRow], list[ImageFiles]]:
    """Return the rows of a list or CSV file, and the folders that paths may be relative to."""
    lines = list(itertools.islice(read_lines(path), DIALECT_LINES))
    first = next((line.strip() for line in lines if line.strip()), None)
    if first is None:
        raise DataError(f"{path}: no rows")
    places = [ImageFiles(place) for place in (path.parent, data) if place.is_dir()]
    is_table = any(delimiter in first for delimiter in DELIMITERS)
    if path_column is None and any(is_existing_file(first, files) for files in places):
        is_table = False  # a path that contains a delimiter
    delimiter = find_delimiter(lines, places[0], path) if is_table else "\n"
    first_rows = parse_lines(lines, delimiter)
    column, has_header = _find_path_column(first_rows[0], path_column, places, path)
    rows = [
        _PathRow(fields[column], safe_relative_path(fields[column], where, "a path"), where)
        for fields, where in read_table_rows(path, delimiter, len(first_rows[0]), has_header)
    ]
    if not rows:
        raise DataError(f"{path}: no rows below its header")
    return rows, places


def _find_path_column(
    first_row: Sequence[str],
    given: Optional[str],
    places: Sequence[ImageFiles],
    path: Path,
) -> tuple[int, bool]:
    """Return the position of the column of paths, and whether the first row is a header."""
    if given is not None:
        column = column_position("path", given, first_row, path)
    else:
        column = _guess_path_column(first_row, places, path)
    if _may_be_image(first_row[column], places):
        return column, False
    is_usual_name = normalized_name(first_row[column]) in PATH_COLUMN_NAMES
    # A list whose first path does not exist has no header: the path is reported as missing.
    return column, is_usual_name or given is not None


def _guess_path_column(first_row: Sequence[str], places: Sequence[ImageFiles], path: Path) -> int:
    """Return the first column that holds images, else the one with a usual name, else the only one.

    Raises ConfigError when there is none or when several have a usual name.
    """
    for position, field in enumerate(first_row):
        if _may_be_image(field, places):
            return position
    found = [
        position
        for position, field in enumerate(first_row)
        if normalized_name(field) in PATH_COLUMN_NAMES
    ]
    if not found and len(first_row) == 1:
        return 0
    if len(found) != 1:
        columns = ", ".join(f"'{field}'" for field in first_row)
        raise ConfigError(
            f"{path}:1: cannot tell which column holds the paths of the images: {columns}",
            "Name it with --path-column",
        )
    return found[0]


def _may_be_image(field: str, places: Sequence[ImageFiles]) -> bool:
    return is_image_name(field) or any(is_existing_file(field, files) for files in places)


def _find_images(rows: Sequence[_PathRow], places: Sequence[ImageFiles]) -> list[ImageToPredict]:
    """Return the images of all rows, from the first place that has the image of the first row."""
    files = next((each for each in places if is_existing_file(rows[0].path, each)), places[0])
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
            raise DataError(f"{where}: {text} is listed twice, first at {first}")
        images.append(ImageToPredict(text, files.root / image, None))
    if missing:
        error = files.missing(missing)
        raise DataError(error.message, error.hint or "Paths are relative to this folder or --data")
    return images
