"""The cache of pretrained weights: a .params file and a JSON record for each.

The record is written after the file. A file without a record is incomplete and is
ignored.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Annotated, NamedTuple, Optional

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fashionai.config import Config, short_side
from fashionai.errors import WeightsError
from fashionai.files import content_hash
from fashionai.files.formats.json_files import read_json
from fashionai.models.catalogue import find_network
from fashionai.normalization import (
    IMAGENET_CROP_FRACTION,
    IMAGENET_MEAN,
    IMAGENET_STD,
    Channels,
)
from fashionai.runtime import weights_folder, zoo_cache_folder

log = logging.getLogger(__name__)

# The prefix of Record.source for files that the user has imported.
FILE_SOURCE_PREFIX = "file/"
# Digits of the hash of a source in the name of its file, where characters were replaced.
SOURCE_DIGITS = 8
ColourValue = Annotated[float, Field(ge=0, le=1)]
PositiveShare = Annotated[float, Field(gt=0, le=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Record(BaseModel):
    """The description of a cached file of weights.

    ``source`` names the origin of the weights. Their input is ``(x - mean) / std`` for
    RGB values x in [0, 1]. ``classes`` is the number of classes of the output layer, 0
    if the file has no output layer. ``fingerprint`` is described in
    fashionai.weights.fingerprint. ``pixels``, ``crop_fraction``, ``interpolation`` and
    ``licence`` are described in fashionai.conversion.published; records of earlier
    versions lack them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    source: str
    sha256: str
    mean: tuple[ColourValue, ColourValue, ColourValue]
    std: tuple[PositiveShare, PositiveShare, PositiveShare]
    classes: int = Field(ge=0)
    fingerprint: tuple[Finite, ...]
    pixels: Optional[int] = Field(None, ge=1)
    crop_fraction: Optional[PositiveShare] = None
    interpolation: str = ""
    licence: str = ""


class StartingWeights(NamedTuple):
    """The initial weights of a training: a .params file, or None for random initialisation.

    ``source`` names the origin of the file. The input of the network is
    ``(x - mean) / std`` for RGB values x in [0, 1], and the middle ``crop_fraction`` of
    an image's short side. For random weights these are the usual values for ImageNet.
    ``licence`` is an SPDX identifier, empty if unknown.
    """

    file: Optional[Path]
    source: str
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    crop_fraction: float = IMAGENET_CROP_FRACTION
    licence: str = ""

    def resolve_input(self, config: Config) -> Config:
        """A copy of the configuration whose null values of the input are those of the weights."""
        resized = short_side(config.data.crop, self.crop_fraction)
        return config.with_input(self.mean, self.std, resized)


class Weights(NamedTuple):
    """A file of weights in the cache and its record."""

    file: Path
    record: Record


class CachedWeights(NamedTuple):
    """Cached weights, sorted by network, newest first, and an error for each damaged record."""

    whole: list[Weights]
    errors: list[WeightsError]


def read_cache(model: str = "") -> CachedWeights:
    """The cached weights of a network, or of all networks, with what is wrong in the cache."""
    records = sorted(
        weights_folder().glob(f"{model or '*'}/*.json"),
        key=lambda path: (path.parent.name, -path.stat().st_mtime_ns, path.name),
    )
    found = CachedWeights([], [])
    for path in records:
        try:
            found.whole.append(_read(path))
        except WeightsError as error:
            found.errors.append(error)
    return found


def cached_weights(model: str = "") -> list[Weights]:
    """The cached weights of a network, or of all networks, sorted by network, newest first.

    Raises WeightsError for a record that cannot be read.
    """
    found = read_cache(model)
    if found.errors:
        raise found.errors[0]
    return found.whole


def find_local_file(model: str) -> Optional[Path]:
    """The newest weights of a network in the cache, else the file in the cache of the zoos."""
    cached = cached_weights(model)
    return cached[0].file if cached else zoo_cache_file(model)


def zoo_cache_file(model: str) -> Optional[Path]:
    """The weights of a network that MXNet or GluonCV has downloaded, None if there are none."""
    digits = find_network(model).weights
    file = zoo_cache_folder() / f"{model}-{digits}.params"
    with contextlib.suppress(PermissionError):  # the folder of another user
        if digits and file.is_file():
            return file
    return None


def downloads_folder() -> Path:
    """The folder of downloads. It keeps incomplete files so that they can be resumed."""
    return weights_folder() / "downloads"


@contextlib.contextmanager
def temporary_download_folder(folder: Path, model: str) -> Iterator[Path]:
    """A folder for a download that cannot be resumed, deleted at the end of the block.

    The name says which network's lock protects it: write_lock removes what killed
    processes have left. The caller must hold write_lock(model) if ``folder`` is
    downloads_folder().
    """
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f"{model}.", suffix=".tmp", dir=folder) as name:
        yield Path(name)


@contextlib.contextmanager
def write_lock(model: str) -> Iterator[None]:
    """Hold the lock for writing weights of a network to the cache; wait for other processes.

    Processes that the block starts with inherited file descriptors hold the lock too,
    until they end. Temporary files of killed processes are removed, those of other
    networks as well unless a process is writing these. Raises WeightsError if the
    folder is not writable.
    """
    folder = weights_folder()
    try:
        downloads_folder().mkdir(parents=True, exist_ok=True)
        lock = _open_lock(model)
    except OSError as error:
        raise WeightsError(
            f"{folder}: cannot be written ({error.strerror})",
            "Set FASHIONAI_HOME to a writable folder",
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("%s: waiting for another process that is fetching the weights", model)
            fcntl.flock(lock, fcntl.LOCK_EX)
        os.set_inheritable(lock.fileno(), True)
        _remove_abandoned(model)
        yield


def _open_lock(model: str) -> IO[str]:
    return open(downloads_folder() / f"{model}.lock", "a")


def _remove_abandoned(locked_model: str) -> None:
    """Remove temporary files of killed processes. The caller holds the lock of one network."""
    abandoned: dict[str, list[Path]] = {}
    for file in weights_folder().glob("*/.*.tmp"):
        abandoned.setdefault(file.parent.name, []).append(file)
    for folder in downloads_folder().glob("*.*.tmp"):
        abandoned.setdefault(folder.name.rsplit(".", 2)[0], []).append(folder)
    for model, paths in abandoned.items():
        if model == locked_model:
            _remove(paths)
            continue
        with contextlib.suppress(OSError), _open_lock(model) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(paths)


def _remove(paths: list[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def weights_file(model: str, source: str) -> Path:
    """The path in the cache for weights of a network from this source."""
    name, origin = _file_name(source), source.removeprefix(FILE_SOURCE_PREFIX)
    # The names of published weights differ in other characters than those that are replaced. Those
    # of the user's files may not, such as a/model.pth and a-model.pth.
    if origin != source and origin != _file_name(origin):
        name = f"{name}-{content_hash(source.encode())[:SOURCE_DIGITS]}"
    return weights_folder() / model / f"{name}.params"


def _file_name(source: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in source)


def check_content(weights: Weights) -> None:
    """Raise WeightsError unless the file has the SHA-256 of its record."""
    if content_hash(weights.file.read_bytes()) != weights.record.sha256:
        raise WeightsError(
            f"{weights.file}: the SHA-256 differs from the recorded one: the file is damaged",
            repair_hint(weights.record),
        )


def repair_hint(record: Record) -> str:
    """A hint that says how to replace damaged weights."""
    verb = "Import" if record.source.startswith(FILE_SOURCE_PREFIX) else "Fetch"
    return f"{verb} the weights again, or delete the file and its .json"


def weights_of(file: Path) -> Optional[Weights]:
    """The cached weights that ``file`` belongs to, None for a file outside of the cache."""
    inside = weights_folder().resolve() in file.resolve().parents
    return _read(record_file(file)) if inside and record_file(file).is_file() else None


def record_file(file: Path) -> Path:
    """The path of the record of a file of weights."""
    return file.with_name(f"{file.stem}.json")


def _read(path: Path) -> Weights:
    file = path.with_name(f"{path.stem}.params")
    try:
        record = Record.model_validate(read_json(path))
    except (OSError, ValueError, ValidationError):
        raise WeightsError(
            f"{path}: not a record of weights", "Delete the file and fetch the weights again"
        ) from None
    if not file.is_file():
        raise WeightsError(
            f"{path}: {file.name} not found beside the record",
            "Delete the record and fetch the weights again",
        )
    return Weights(file, record)
