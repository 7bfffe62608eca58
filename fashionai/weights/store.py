"""The cache of pretrained weights: a .params file and what is known of it for each.

A record is written behind its file: a file without one was not finished and does
not count.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple, Optional

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fashionai.errors import WeightsError
from fashionai.files import content_hash
from fashionai.models.catalogue import find_network
from fashionai.runtime import weights_folder, zoo_cache_folder

log = logging.getLogger(__name__)

# How the source of weights begins that a user has given.
OWN_FILES = "file/"
Share = Annotated[float, Field(ge=0, le=1)]
PositiveShare = Annotated[float, Field(gt=0, le=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Record(BaseModel):
    """What is known of a file of weights.

    ``source`` says where they come from. Their input is RGB in [0, 1], less
    ``mean`` and over ``std``. ``classes`` counts the answers of the output layer,
    0 where it is not among them. ``fingerprint`` is what the network answers to a
    fixed image (see fashionai.weights.fingerprint).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    source: str
    sha256: str
    mean: tuple[Share, Share, Share]
    std: tuple[PositiveShare, PositiveShare, PositiveShare]
    classes: int = Field(ge=0)
    fingerprint: tuple[Finite, ...]


class Weights(NamedTuple):
    """A file of the cache with its record."""

    file: Path
    record: Record


def cached_weights(model: str = "") -> list[Weights]:
    """What the cache holds of a network, or of all, the newest of each first.

    Raises WeightsError for a record that cannot be read.
    """
    records = sorted(
        weights_folder().glob(f"{model or '*'}/*.json"),
        key=lambda path: (path.parent.name, -path.stat().st_mtime_ns, path.name),
    )
    return [_read(path) for path in records]


def weights_at_hand(model: str) -> Optional[Path]:
    """The newest weights of a network in the cache, else those in the zoo's cache folder."""
    cached = cached_weights(model)
    return cached[0].file if cached else zoo_file(model)


def zoo_file(model: str) -> Optional[Path]:
    """The weights that MXNet or GluonCV itself has fetched, if there are any."""
    digits = find_network(model).weights
    file = zoo_cache_folder() / f"{model}-{digits}.params"
    return file if digits and file.is_file() else None


def downloads_folder() -> Path:
    """Where files come to, so that what came of one is there when it is asked for again."""
    return weights_folder() / "downloads"


@contextlib.contextmanager
def only_writer(model: str) -> Iterator[None]:
    """Wait until no other process puts weights of this network into the cache, and keep others out.

    What killed processes left unfinished is removed. Raises WeightsError for a
    folder that cannot be written.
    """
    folder = weights_folder()
    try:
        downloads_folder().mkdir(parents=True, exist_ok=True)
        lock = open(downloads_folder() / f"{model}.lock", "a")  # noqa: SIM115 - closed below
    except OSError as error:
        raise WeightsError(
            f"{folder}: cannot be written ({error.strerror})",
            "Set FASHIONAI_HOME to a folder that can",
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("%s: waiting for another process that fetches its weights", model)
            fcntl.flock(lock, fcntl.LOCK_EX)
        for abandoned in (folder / model).glob(".*.tmp"):
            abandoned.unlink()
        yield


def place_of(model: str, source: str) -> Path:
    """Where weights of a network from that source lie."""
    name = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in source)
    return weights_folder() / model / f"{name}.params"


def check_content(weights: Weights) -> None:
    """WeightsError unless the file is the one that was put into the cache."""
    if content_hash(weights.file.read_bytes()) != weights.record.sha256:
        raise WeightsError(
            f"{weights.file}: its SHA-256 is not that of its record, the file is damaged",
            ways_to_renew(weights.record),
        )


def ways_to_renew(record: Record) -> str:
    """A hint what to do about damaged weights."""
    again = "Import" if record.source.startswith(OWN_FILES) else "Fetch"
    return f"{again} them again, or delete the file and its .json"


def weights_of(file: Path) -> Optional[Weights]:
    """A file of the cache with its record, None for a file of one's own."""
    inside = weights_folder().resolve() in file.resolve().parents
    return _read(record_file(file)) if inside and record_file(file).is_file() else None


def record_file(file: Path) -> Path:
    """The place of a file's record."""
    return file.with_name(f"{file.stem}.json")


def _read(path: Path) -> Weights:
    file = path.with_name(f"{path.stem}.params")
    try:
        record = Record.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError):
        raise WeightsError(
            f"{path}: is no record of weights", "Delete it and fetch again"
        ) from None
    if not file.is_file():
        raise WeightsError(f"{path}: the weights beside it are gone", "Delete it and fetch again")
    return Weights(file, record)
