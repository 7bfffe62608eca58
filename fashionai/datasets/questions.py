"""Images to predict: question files of competitions, or one's own images.

One's own are a single image, a folder, a list of paths, or any CSV with a column of paths.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from fashionai import csv_files
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
from fashionai.tasks import Task


def read_images_to_predict(
    path: Path, data: Path, path_column: Optional[str] = None
) -> list[ImageToPredict]:
    """The images that a folder, a list or a question file asks for, in its order, or one image.

    Paths of a file are relative to its own folder or to ``data``. ``path_column``
    is the name or number of a CSV's column of paths, for which usual names and
    columns that hold images are found without. Raises DataError for rows that
    cannot be read, missing images and images asked twice, ConfigError for a
    column that is not there.
    """
    if path.is_dir():
        return _read_folder(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder, expected what to predict")
    if is_image_name(path.name):
        return [ImageToPredict(path.name, path, None)]
    known = None if path_column else _known_question_file(path)
    if known is not None:
        return known.read(path, data)
    return _read_list(path, data, path_column)


def names_to_predict(path: Path) -> list[tuple[str, Optional[Task]]]:
    """The image that each row of a question file names, and its task if rows name one.

    The images need not exist. Raises DataError for a file that cannot be read,
    ConfigError when it is not clear which column holds the paths.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file, expected a question file")
    known = _known_question_file(path)
    if known is not None:
        return known.names(path)
    rows, _ = _read_list_rows(path, path.parent, None)
    return [(row.text, None) for row in rows]


def list_images(folder: Path) -> list[str]:
    """Images below a folder at any depth, as sorted relative paths; hidden ones are left out.

    Those whose name does not tell count as well: images from the web may lack a suffix.
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
        raise DataError(f"{folder}: no images there")
    return sorted(found)


def _read_folder(folder: Path) -> list[ImageToPredict]:
    return [ImageToPredict(image, folder / image, None) for image in list_images(folder)]


def _known_question_file(path: Path) -> Optional[QuestionFile]:
    """The kind of competition's question file that a file is; None for any other file."""
    first_rows = [fields for fields, _ in itertools.islice(csv_files.read_rows(path), 2)]
    kinds = (reader.questions for reader in readers())
    return next((kind for kind in kinds if kind is not None and kind.matches(first_rows)), None)


class _ListRow(NamedTuple):
    """One row of a list: the path as it stands, the same in a safe form, and the row's place."""

    text: str
    path: str
    where: str


def _read_list(path: Path, data: Path, path_column: Optional[str]) -> list[ImageToPredict]:
    rows, places = _read_list_rows(path, data, path_column)
    return _find_images(rows, places)


def _read_list_rows(
    path: Path, data: Path, path_column: Optional[str]
) -> tuple[list[_ListRow], list[ImageFiles]]:
    """The rows of a list of paths or of a CSV, and the folders that paths may start from."""
    lines = list(itertools.islice(read_lines(path), DIALECT_LINES))
    first = next((line.strip() for line in lines if line.strip()), None)
    if first is None:
        raise DataError(f"{path}: no rows")
    places = [ImageFiles(place) for place in (path.parent, data) if place.is_dir()]
    is_table = any(delimiter in first for delimiter in DELIMITERS)
    if path_column is None and any(is_existing_file(first, files) for files in places):
        is_table = False  # a path with a comma in it
    delimiter = find_delimiter(lines, places[0], path) if is_table else "\n"
    sample = parse_lines(lines, delimiter)
    column, has_header = _find_column(sample, path_column, places, path)
    rows = [
        _ListRow(fields[column], safe_relative_path(fields[column], where, "a path"), where)
        for fields, where in read_table_rows(path, delimiter, len(sample[0]), has_header)
    ]
    if not rows:
        raise DataError(f"{path}: no rows below its header")
    return rows, places


def _find_column(
    sample: Sequence[Sequence[str]],
    given: Optional[str],
    places: Sequence[ImageFiles],
    path: Path,
) -> tuple[int, bool]:
    """Which column holds the paths, and whether the first row is a header."""
    first = sample[0]
    if given is not None:
        column = column_position("path", given, first, path)
    else:
        pictures = [at for at, field in enumerate(first) if _may_be_image(field, places)]
        named = [
            at for at, field in enumerate(first) if normalized_name(field) in PATH_COLUMN_NAMES
        ]
        alone = [0] if len(first) == 1 else []
        found = pictures[:1] or named or alone
        if len(found) != 1:
            columns = ", ".join(f"'{field}'" for field in first)
            raise ConfigError(
                f"{path}:1: which column holds the paths of images is not clear: {columns}",
                "Name it with --path-column",
            )
        column = found[0]
    if _may_be_image(first[column], places):
        return column, False
    # A single column of paths that are not there is reported as that, not taken for a header.
    return column, normalized_name(first[column]) in PATH_COLUMN_NAMES or given is not None


def _may_be_image(field: str, places: Sequence[ImageFiles]) -> bool:
    return is_image_name(field) or any(is_existing_file(field, files) for files in places)


def _find_images(rows: Sequence[_ListRow], places: Sequence[ImageFiles]) -> list[ImageToPredict]:
    """The images of all rows, from the first folder that has the image of the first row."""
    files = next((each for each in places if is_existing_file(rows[0].path, each)), places[0])
    asked: list[ImageToPredict] = []
    missing: list[tuple[str, str]] = []
    seen: dict[str, str] = {}
    for text, safe, where in rows:
        image = files.find(safe, where)
        if image is None:
            missing.append((safe, where))
            continue
        first = seen.setdefault(image, where)
        if first != where:
            raise DataError(f"{where}: {text} was already asked at {first}")
        asked.append(ImageToPredict(text, files.root / image, None))
    if missing:
        error = files.missing(missing)
        raise DataError(error.message, error.hint or "Paths start there or in --data")
    return asked
