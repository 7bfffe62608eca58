"""What a command writes is checked before it computes: no file of the user's own is lost.

An output is refused when it is one of the inputs (also by another name or link), an image, or an
existing file that is no earlier result of the same kind. Earlier results are recognized by their
first row, their keys or a mark in the picture. A result that is no picture is not named like one.
Then the place is tried.
"""

from __future__ import annotations

import itertools
import os
import stat
import struct
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Callable, NamedTuple, Optional

from fashionai.errors import ConfigError, DataError
from fashionai.files.formats.csv_files import first_rows, is_of_spreadsheet
from fashionai.files.formats.image_signatures import HEAD, PNG_MAGIC, identify_format
from fashionai.files.formats.json_files import read_json
from fashionai.files.names import is_image_name

# The text chunk that marks pictures of this project.
PNG_SOFTWARE = "fashionai"
PNG_METADATA = {"Software": PNG_SOFTWARE}

NAME_HINT = "Name another file"
REPLACE_HINT = f"{NAME_HINT}, or replace it with --overwrite"


# A run, a cross-validation or a search has these two files, also an unfinished one. One alone may
# be the user's, such as a configuration.
MARKS_OF_RUNS = (
    ("config.yaml", "classes.json"),
    ("cross_validation.yaml", "config.base.yaml"),
    ("tune.yaml", "config.base.yaml"),
)
MARKS_OF_PREPARED_TASKS = (
    ("task.json", "manifest.csv"),
    ("task.json", "manifest.csv.partial"),
)
# The same with prepared tasks. No result replaces a file beside them that is not an earlier result,
# also not with --overwrite.
MARKS_OF_OWN_FOLDERS = (*MARKS_OF_RUNS, *MARKS_OF_PREPARED_TASKS)


class Kind(NamedTuple):
    """A kind of result: its name for messages, and what recognizes a file that has it.

    ``is_own`` gets an existing file that is not empty. It does not raise FashionAIError.
    """

    name: str
    is_own: Callable[[Path], bool]
    is_picture: bool = False


def csv_kind(name: str, header: Sequence[str]) -> Kind:
    """Tables with this header, also those that a spreadsheet has saved with its separators."""

    def matches(path: Path) -> bool:
        rows = first_rows(path, 1)
        return rows == [list(header)] or (bool(rows) and is_of_spreadsheet(rows[0], header))

    return Kind(name, matches)


def json_kind(name: str, is_own: Callable[[Any], bool]) -> Kind:
    """JSON files; ``is_own`` recognizes their content."""

    def matches(path: Path) -> bool:
        try:
            return is_own(read_json(path))
        except (OSError, ValueError):
            return False

    return Kind(name, matches)


def check_output(
    option: str,
    path: Path,
    kind: Kind,
    inputs: Iterable[Path] = (),
    overwrite: bool = False,
    hint: str = REPLACE_HINT,
) -> None:
    """Raise ConfigError unless a result may be written to ``path``.

    ``option`` names the output in messages, ``inputs`` are the files that the command reads. With
    ``overwrite`` any regular file is replaced that is neither an input nor an image, nor a file of
    a run or prepared folder; pictures also replace images. ``hint`` says what to do without it.
    Nothing is left at the place.
    """
    check_outputs(option, [path], kind, inputs, overwrite, hint)


def check_outputs(
    option: str,
    paths: Iterable[Path],
    kind: Kind,
    inputs: Iterable[Path] = (),
    overwrite: bool = False,
    hint: str = REPLACE_HINT,
) -> None:
    """check_output for each of several paths, with one look at the inputs for all."""
    read = {_identity(other): other for other in inputs}
    read.pop(None, None)
    for path in paths:
        output, other = f"{option} {path}", read.get(_identity(path))
        if other is not None:
            raise ConfigError(f"{output}: is {other}, which this command reads", "Name another")
        check_not_lost(output, path, kind, overwrite, hint)
        try_place(output, path)


def check_distinct(options: dict[str, Path]) -> None:
    """ConfigError when two outputs, by option, are one file."""
    for (name, path), (other, same) in itertools.combinations(options.items(), 2):
        if path.absolute() == same.absolute() or same_file(path, same):
            raise ConfigError(f"{name} and {other} are the same file: {path}")


def same_file(path: Path, other: Path) -> bool:
    """Whether both exist and are one file, also through hard or symbolic links."""
    identity = _identity(path)
    return identity is not None and identity == _identity(other)


def _identity(path: Path) -> Optional[tuple[int, int]]:
    """What is the same for all links to a file; None for a file that does not exist."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def check_not_lost(
    output: str, path: Path, kind: Kind, overwrite: bool, hint: str = REPLACE_HINT
) -> None:
    """ConfigError when ``path`` exists and is not to be overwritten; ``output`` begins messages.

    The name of an image is refused for other results: commands would read them as images.
    """
    _check_existing(output, path, kind, overwrite, hint)
    if not kind.is_picture and is_image_name(path.name):
        raise ConfigError(
            f"{output}: has the suffix of an image, expected another one for {kind.name}",
            NAME_HINT,
        )


def _check_existing(output: str, path: Path, kind: Kind, overwrite: bool, hint: str) -> None:
    """ConfigError when ``path`` exists and is not to be overwritten."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        return  # try_place says why
    if stat.S_ISDIR(status.st_mode):
        raise ConfigError(f"{output}: is a folder, expected the name of a file")
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"{output}: is not a regular file, so it is not replaced")
    if not status.st_size:
        return
    if not kind.is_picture and _is_image(path):
        raise ConfigError(f"{output}: is an image, so it is not overwritten")
    if kind.is_own(path):
        return
    if has_marks(path.parent, MARKS_OF_OWN_FOLDERS):
        raise ConfigError(
            f"{output}: is a file of the run or prepared folder {path.parent}, "
            "so it is not overwritten",
            NAME_HINT if hint == REPLACE_HINT else hint,
        )
    if not overwrite:
        raise ConfigError(f"{output}: exists and is not {kind.name} of fashionai", hint)


def has_marks(folder: Path, marks: Iterable[tuple[str, str]]) -> bool:
    """Whether a folder has both files of any of these pairs."""
    return any(all((folder / name).is_file() for name in pair) for pair in marks)


def try_place(output: str, path: Path) -> None:
    """DataError unless a file can be written to ``path``; ``output`` begins messages.

    A file without a name is made in the nearest folder that exists. Missing folders are not made.
    """
    folder, missing = path.parent, [path.name]
    while not os.path.lexists(folder) and folder != folder.parent:
        missing.append(folder.name)
        folder = folder.parent
    if not folder.is_dir():
        raise DataError(f"{output}: {folder} is not a folder, so nothing can be written there")
    try:
        for name in missing:
            _check_name(folder / name)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{output}: cannot be written: {reason}") from None


def check_is_no_file(folder: Path) -> None:
    """DataError when the path of a folder to write to is taken by a file."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise DataError(f"{folder}: is a file, expected a folder to write to")


def try_folder(option: str, folder: Path) -> None:
    """DataError unless files can be written into a folder, which need not exist yet."""
    check_is_no_file(folder)
    try_place(f"{option} {folder}", folder / "file")


def _check_name(path: Path) -> None:
    """OSError for a name that the file system does not take, such as one that is too long."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return


def _is_image(path: Path) -> bool:
    """Whether the first bytes are those of an image format."""
    try:
        with open(path, "rb") as handle:
            start = handle.read(HEAD)
    except OSError:
        return False
    # AVIF and HEIF with any brand; videos with such boxes are not to be lost either.
    is_box = start[4:8] == b"ftyp"
    return is_box or identify_format(start) is not None


def _is_own_picture(path: Path) -> bool:
    """Whether a file is a PNG with the mark of PNG_METADATA."""
    mark = f"Software\0{PNG_SOFTWARE}".encode()
    try:
        return any(name == b"tEXt" and content == mark for name, content in _first_chunks(path))
    except (OSError, struct.error):
        return False


def _first_chunks(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """The name and the content of each chunk of a PNG before its pixels."""
    with open(path, "rb") as handle:
        if handle.read(len(PNG_MAGIC)) != PNG_MAGIC:
            return
        while True:
            length, name = struct.unpack(">I4s", handle.read(8))
            if name == b"IDAT":
                return
            # A length beyond the file's end reads no more than there is.
            yield name, handle.read(min(length, path.stat().st_size))
            handle.seek(4, os.SEEK_CUR)


PICTURES = Kind("a picture", _is_own_picture, is_picture=True)
