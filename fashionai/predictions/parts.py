"""Finished parts of a long prediction, kept in a folder beside its output until that is written.

Several processes share the parts: each computes every n-th one. A prediction that was killed goes
on with the parts that are there.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, TypeVar

import numpy as np

from fashionai.errors import ConfigError, DataError, RunError, counted
from fashionai.files import as_json, atomic_path, content_hash, write_json
from fashionai.files.abandoned import is_temporary
from fashionai.files.formats.array_archives import ArrayArchive, DamagedArchiveError
from fashionai.files.formats.json_files import read_json
from fashionai.files.locks import LOCK_FILE, locked
from fashionai.files.names import fitting
from fashionai.files.outputs import check_is_no_file
from fashionai.frameworks.processes import Place
from fashionai.predictions.meeting import JOB_FILE, Meeting

log = logging.getLogger(__name__)

# A part has at least so many images: it takes minutes on a CPU and seconds on a GPU.
PART_IMAGES = 1024
DESCRIPTION_FILE = "prediction.json"
# What this project writes into a folder of parts.
ENGINES_FILE = "engines.json"
PART_FILE = re.compile(r"(checked|run\d+)-\d+\.npz")
MEETING_FILE = re.compile(r"(hello-\d+|(joined|checked|chosen|done|read)-\d+-[0-9a-f]{16})\.json")
HASH = re.compile("[0-9a-f]{64}")
OWN_FILES = (DESCRIPTION_FILE, ENGINES_FILE, JOB_FILE, LOCK_FILE)

Description = Mapping[str, Any]
Value = TypeVar("Value")


def parts_folder(out: Path) -> Path:
    """The folder of the parts of an output: ``.NAME.parts`` beside it."""
    return out.with_name(fitting(f".{out.name}", ".parts"))


class Parts:
    """The parts of one prediction in ``folder``, of which this process computes its share.

    ``size`` is the number of images in a part; the last one of a run may have fewer.
    """

    def __init__(
        self, folder: Path, description: Description, place: Place, size: int = PART_IMAGES
    ) -> None:
        self.folder, self.place, self.size = folder, place, size
        self.meeting = Meeting(folder, place)
        self.key = content_hash(as_json(description).encode())

    def set_left_out(self, images: Sequence[str]) -> None:
        """Parts depend on the images that are left out as well."""
        self.key = content_hash("\0".join([self.key, *images]).encode("utf-8", "surrogateescape"))

    def own(self, count: int) -> range:
        """The numbers of the parts that this process computes, of ``count`` parts."""
        return range(self.place.rank, count, self.place.count)

    def write(self, name: str, values: np.ndarray) -> None:
        """Keep a finished part."""
        with atomic_path(self.folder / name) as temporary, open(temporary, "wb") as handle:
            np.savez(handle, key=np.array(self.key), values=values)

    def read(self, name: str, rows: int, columns: int) -> Optional[np.ndarray]:
        """A finished part ``(rows, columns) float64``; None when it is missing or damaged."""
        return self._read(name, lambda archive: archive.read("values", (rows, columns), np.float64))

    def write_texts(self, name: str, texts: Mapping[str, str]) -> None:
        """Keep a part that consists of texts."""
        self.write(name, np.array(json.dumps(dict(texts))))

    def read_texts(self, name: str) -> Optional[dict[str, str]]:
        """A part that consists of texts; None when it is missing or damaged."""
        text = self._read(name, lambda archive: archive.read_text("values"))
        found: Optional[dict[str, str]] = None if text is None else json.loads(text)
        return found

    def _read(self, name: str, read: Callable[[ArrayArchive], Value]) -> Optional[Value]:
        path = self.folder / name
        try:
            with ArrayArchive(path) as archive:
                if archive.read_text("key") != self.key:
                    raise DamagedArchiveError("belongs to other images")
                return read(archive)
        except FileNotFoundError:
            return None
        except DamagedArchiveError as error:
            log.info("%s: %s", path, error)
            return None

    def finished(self, kind: str = "") -> int:
        """The number of parts that are there, of those whose names begin with ``kind``."""
        return _count_parts(self.folder, kind)

    def remove(self) -> None:
        """Remove the parts; other files in the folder stay."""
        remove_parts(self.folder)


# How the names of parts begin that hold checks of images.
CHECKED = "checked"


@contextlib.contextmanager
def open_parts(
    folder: Path,
    description: Description,
    place: Place,
    *,
    size: int = PART_IMAGES,
    resume: bool = False,
    discard: bool = False,
) -> Iterator[Parts]:
    """The parts of a prediction. The first process makes their folder; all of them meet there.

    ``description`` identifies the prediction, and ``size`` is the number of images in a part. With
    ``resume`` parts of the same prediction are used, with ``discard`` those of any prediction are
    removed, and with both those of other predictions. Raises ConfigError for parts that are there
    otherwise, RunError when another command writes there.
    """
    parts = Parts(folder, description, place, size)
    with contextlib.ExitStack() as stack:
        if place.is_first:
            _begin(parts, description, resume, discard, stack)
        parts.meeting.begin()
        if not place.is_first:
            _check_agreement(folder, description, place)
        yield parts


def _begin(
    parts: Parts, description: Description, resume: bool, discard: bool, stack: contextlib.ExitStack
) -> None:
    """Make the folder of parts, hold its lock, and write the description."""
    folder = parts.folder
    check_is_no_file(folder)
    # Checks of images alone cost little: they are made again where the options have changed.
    found = _count_parts(folder) - _count_parts(folder, CHECKED)
    if found and not resume and not discard:
        raise ConfigError(
            f"{folder}: holds the results of an interrupted prediction, {_told(found, parts.size)}",
            "Go on with --resume, or discard them with --overwrite",
        )
    if discard and _differences(folder, description):
        resume = False
    folder.mkdir(parents=True, exist_ok=True)
    busy = RunError(f"{folder}: another command writes this prediction", "Wait until it ends")
    stack.enter_context(locked(folder / LOCK_FILE, busy))
    if resume and (found or (_count_parts(folder) and not _differences(folder, description))):
        _check_same(folder, description)
        if found:
            log.info(
                "%s: %s are finished, the others follow",
                folder,
                _told(found, parts.size),
            )
    else:
        remove_parts(folder, keep=LOCK_FILE)
    write_json(folder / DESCRIPTION_FILE, dict(description))


def _told(count: int, size: int) -> str:
    """How much parts hold, for people: the last part of a run may have fewer images."""
    return f"{counted(count, 'part')} of up to {counted(size, 'image')} each"


def _count_parts(folder: Path, kind: str = "") -> int:
    names = [file.name for file in folder.iterdir()] if folder.is_dir() else []
    return sum(name.startswith(kind) and PART_FILE.fullmatch(name) is not None for name in names)


def _check_same(folder: Path, description: Description) -> None:
    """ConfigError unless the parts belong to the prediction of this description."""
    differences = _differences(folder, description)
    if differences:
        raise ConfigError(
            f"{folder}: holds parts of another prediction ({'; '.join(differences)})",
            "Give the same options, or discard the parts with --overwrite",
        )


def _check_agreement(folder: Path, description: Description, place: Place) -> None:
    """ConfigError unless this process has the description of the first one."""
    differences = _differences(folder, description)
    if differences:
        raise ConfigError(
            f"{place}: its prediction is not that of the first process ({'; '.join(differences)})",
            "All processes need the same command, data and runs",
        )


def _differences(folder: Path, wanted: Description) -> list[str]:
    """What differs from the description in a folder, with the values of settings.

    Hashes would tell nobody anything.
    """
    try:
        found = read_json(folder / DESCRIPTION_FILE)
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        return [f"no {DESCRIPTION_FILE}"]
    lines = []
    for key, value in json.loads(as_json(wanted)).items():
        other = found.get(key)
        if other == value:
            continue
        is_short = isinstance(value, (int, str)) and not HASH.fullmatch(str(value))
        lines.append(f"{key}: {other}, not {value}" if is_short else f"other {key}")
    return lines


def remove_parts(folder: Path, keep: str = "") -> None:
    """Remove what this project has written into a folder of parts, and the folder if it is empty.

    The file named ``keep`` stays, and with it the folder.
    """
    own = [file for file in folder.iterdir() if file.name != keep and _is_own(file.name)]
    # The description goes last: parts that a kill leaves here can still be told apart.
    for file in sorted(own, key=lambda each: each.name == DESCRIPTION_FILE):
        file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _is_own(name: str) -> bool:
    """Whether a file in a folder of parts is one that this project writes there."""
    return (
        name in OWN_FILES
        or is_temporary(name)
        or PART_FILE.fullmatch(name) is not None
        or MEETING_FILE.fullmatch(name) is not None
    )


def unreadable(folder: Path, name: str) -> DataError:
    """The error for a finished part that cannot be read."""
    return DataError(f"{folder / name}: is missing or damaged", "Go on with --resume")
