"""The cache of pretrained weights: a .params file and what is known of it for each.

A record is written behind its file: a file without one was not finished and does
not count.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple, Optional

from pydantic import BaseModel, ConfigDict, ValidationError

from fashionai.errors import WeightsError
from fashionai.files import content_hash
from fashionai.models.catalogue import find_network
from fashionai.runtime import weights_folder, zoo_cache_folder

Channels = tuple[float, float, float]


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
    mean: Channels
    std: Channels
    classes: int
    fingerprint: tuple[float, ...]


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


def place_of(model: str, source: str) -> Path:
    """Where weights of a network from that source lie."""
    name = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in source)
    return weights_folder() / model / f"{name}.params"


def check_content(weights: Weights) -> None:
    """WeightsError unless the file is the one that was put into the cache."""
    if content_hash(weights.file.read_bytes()) != weights.record.sha256:
        raise WeightsError(
            f"{weights.file}: its SHA-256 is not that of its record, the file is damaged",
            f"Run: fashionai weights fetch {weights.record.model}",
        )


def record_beside(file: Path) -> Optional[Record]:
    """The record of a .params file of the cache, None for a file of one's own."""
    return _read(record_file(file)).record if record_file(file).is_file() else None


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
