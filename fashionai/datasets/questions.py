"""What is to be predicted: question files of competitions, and one's own images.

One's own are a folder, a list of paths or any CSV with a column of paths. Rows of
FashionAI's files name the task they ask for, all others ask for whatever is predicted.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from fashionai import csv_files
from fashionai.datasets.readers import cactus
from fashionai.datasets.readers import fashionai as fashionai_csv
from fashionai.datasets.readers.class_folders import (
    ImageFiles,
    holds_image,
    is_image_name,
    safe_relative_path,
)
from fashionai.datasets.readers.csv_dialect import (
    DELIMITERS,
    PATH_NAMES,
    SAMPLE_LINES,
    find_delimiter,
    given_column,
    is_image,
    plain,
    read_lines,
    read_rows,
    split_lines,
)
from fashionai.errors import ConfigError, DataError
from fashionai.pipeline.decode import ImageFile
from fashionai.tasks import REGISTRY, Task

# Where competitions put their question files, by the family of their tasks.
QUESTION_FILES = {"fashionai": fashionai_csv.TEST_QUESTIONS, "cactus": cactus.QUESTIONS}


class AskedImage(NamedTuple):
    """One row: the image as the question file names it, its file, the task it asks for if any."""

    image: str
    path: ImageFile
    task: Optional[Task]


def read_questions(path: Path, data: Path, path_column: Optional[str] = None) -> list[AskedImage]:
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
        return [AskedImage(path.name, path, None)]
    if path_column is None:
        first_rows = [fields for fields, _ in itertools.islice(csv_files.read_csv_rows(path), 2)]
        if first_rows[:1] == [cactus.HEADER]:
            found = cactus.read_cactus_questions(path)
            return [AskedImage(name, image, None) for name, image in found]
        if any(_is_fashionai(fields) for fields in first_rows):
            asked = fashionai_csv.read_questions(path, data)
            return [
                AskedImage(row.image, image, row.task)
                for row, image in zip(asked.rows, asked.images)
            ]
    return _read_list(path, data, path_column)


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


def _read_folder(folder: Path) -> list[AskedImage]:
    return [AskedImage(image, folder / image, None) for image in list_images(folder)]


def _is_fashionai(fields: Sequence[str]) -> bool:
    """Whether a row names a FashionAI task, or an image as the competition does."""
    named = REGISTRY.get(fields[1]) if len(fields) > 1 else None
    return fields[0].startswith("Images/") or bool(named and named.family == "fashionai")


def _read_list(path: Path, data: Path, path_column: Optional[str]) -> list[AskedImage]:
    lines = list(itertools.islice(read_lines(path), SAMPLE_LINES))
    first = next((line.strip() for line in lines if line.strip()), None)
    if first is None:
        raise DataError(f"{path}: no rows")
    places = [ImageFiles(place) for place in (path.parent, data) if place.is_dir()]
    is_table = any(delimiter in first for delimiter in DELIMITERS)
    if path_column is None and any(is_image(first, files) for files in places):
        is_table = False  # a path with a comma in it
    delimiter = find_delimiter(lines, places[0], path) if is_table else "\n"
    sample = split_lines(lines, delimiter)
    column, has_header = _find_column(sample, path_column, places, path)
    rows = [
        (fields[column], safe_relative_path(fields[column], where, "a path"), where)
        for fields, where in read_rows(path, delimiter, len(sample[0]), has_header)
    ]
    if not rows:
        raise DataError(f"{path}: no rows below its header")
    return _find_images(rows, places)


def _find_column(
    sample: Sequence[Sequence[str]],
    given: Optional[str],
    places: Sequence[ImageFiles],
    path: Path,
) -> tuple[int, bool]:
    """Which column holds the paths, and whether the first row is a header."""
    first = sample[0]
    if given is not None:
        column = given_column("path", given, first, path)
    else:
        pictures = [at for at, field in enumerate(first) if _may_be_image(field, places)]
        named = [at for at, field in enumerate(first) if plain(field) in PATH_NAMES]
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
    return column, plain(first[column]) in PATH_NAMES or given is not None


def _may_be_image(field: str, places: Sequence[ImageFiles]) -> bool:
    return is_image_name(field) or any(is_image(field, files) for files in places)


def _find_images(
    rows: Sequence[tuple[str, str, str]], places: Sequence[ImageFiles]
) -> list[AskedImage]:
    """Rows of text, safe path and place to images, all from the first place that has the first."""
    text, safe, _ = rows[0]
    files = next((each for each in places if is_image(safe, each)), places[0])
    asked: list[AskedImage] = []
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
        asked.append(AskedImage(text, files.root / image, None))
    if missing:
        error = files.missing(missing)
        raise DataError(error.message, error.hint or "Paths start there or in --data")
    return asked
