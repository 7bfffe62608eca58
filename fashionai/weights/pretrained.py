"""Pretrained weights for training: from the cache, else from the first source that has them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import NamedTuple, Optional
from urllib.parse import urlsplit

from fashionai.config import IMAGENET_MEAN, IMAGENET_STD, Config
from fashionai.conversion.published import (
    PUBLISHED_WEIGHTS,
    published_weights,
)
from fashionai.errors import WeightsError, nearest
from fashionai.runtime import weights_folder
from fashionai.weights.downloading import Digest, Progress, download, has_digest
from fashionai.weights.importing import import_weights
from fashionai.weights.sources import SOURCES, Source, Zoo
from fashionai.weights.store import (
    Weights,
    cached_weights,
    check_content,
    record_beside,
    zoo_file,
)

log = logging.getLogger(__name__)

Channels = Sequence[float]


class StartingWeights(NamedTuple):
    """What training begins with: a .params file, or None for random numbers.

    ``source`` tells people where they come from; their input is RGB in [0, 1],
    less ``mean`` and over ``std``. Without weights it is ImageNet's all the same.
    """

    file: Optional[Path]
    source: str
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD


def starting_weights(config: Config) -> StartingWeights:
    """The weights that ``model.pretrained`` asks for; WeightsError when they cannot be had."""
    model = config.model
    if model.pretrained is False:
        return StartingWeights(None, "")
    if model.pretrained is True:
        return find_weights(model.name)
    file = Path(model.pretrained)
    record = record_beside(file)
    if record is None:
        return StartingWeights(file, str(file))
    return StartingWeights(file, record.source, record.mean, record.std)


def find_weights(model: str) -> StartingWeights:
    """The newest weights of a network in the cache, else what the first source gives.

    Raises WeightsError that lists what was tried and why each failed.
    """
    cached = cached_weights(model)
    if cached:
        check_content(cached[0])
        return _of_cache(cached[0])
    found = _of_zoo_cache(model)
    if found:
        return found
    return _of_cache(fetch_first(model))


def fetch_first(model: str, progress: Progress = lambda received: None) -> Weights:
    """Put weights into the cache from the first source that gives them, else as find_weights."""
    tried = [f"cache: nothing in {weights_folder() / model}"]
    for source in SOURCES:
        if not source.offers(model):
            tried.append(f"{source.name}: does not publish it")
            continue
        log.info("%s: fetching weights from %s (%s)", model, source.name, source.offers(model))
        try:
            return fetch_from(source, model, progress)
        except WeightsError as error:
            tried.append(f"{source.name}: {error}")
    raise WeightsError(
        "; ".join([f"pretrained weights of {model} cannot be had", *tried]),
        f"Give a file to: fashionai weights import FILE --model {model}; "
        "or set model.pretrained=false",
    )


def fetch_from(source: Source, model: str, progress: Progress = lambda received: None) -> Weights:
    """Put what a source publishes for a network into the cache; WeightsError when it cannot."""
    if not source.offers(model):
        others = ", ".join(other.name for other in SOURCES if other.offers(model))
        raise WeightsError(
            f"{source.name} does not publish weights of {model}",
            f"Choose from: {others}" if others else "No source does",
        )
    fetched = source.fetch(model, _downloads(), progress)
    try:
        return import_weights(
            model, fetched.file, source=fetched.source, mean=fetched.mean, std=fetched.std
        )
    finally:
        fetched.file.unlink()


def fetch_address(
    url: str,
    model: str,
    mean: Optional[Channels],
    std: Optional[Channels],
    progress: Progress = lambda received: None,
) -> Weights:
    """Put the file at an address into the cache, as import_file does."""
    name = PurePosixPath(urlsplit(url).path).name
    with TemporaryDirectory(prefix="fashionai-") as folder:
        file = Path(folder) / (name or "weights")
        download(url, file, None, progress)
        return import_file(file, model, mean, std)


def import_file(
    file: Path, model: str, mean: Optional[Channels] = None, std: Optional[Channels] = None
) -> Weights:
    """Put a file of one's own into the cache.

    Without ``mean`` and ``std`` its input is that of the published weights of
    its name, else of the network's first published ones, of .params files ImageNet's.
    """
    own = [weights for weights in PUBLISHED_WEIGHTS if file.name.startswith(weights.name)]
    if not own and file.suffix != ".params":
        own = published_weights(model)
    return import_weights(
        model,
        file,
        source=f"file/{file.name}",
        mean=mean or (own[0].mean if own else IMAGENET_MEAN),
        std=std or (own[0].std if own else IMAGENET_STD),
    )


def find_source(name: str) -> Source:
    """The source of that name; WeightsError that tells the nearest one."""
    by_name = {source.name: source for source in SOURCES}
    if name not in by_name:
        raise WeightsError(
            f"--from: unknown source '{name}'",
            f"{nearest(name, by_name)}; a file or URL would do, too",
        )
    return by_name[name]


def _of_cache(weights: Weights) -> StartingWeights:
    record = weights.record
    return StartingWeights(weights.file, record.source, record.mean, record.std)


def _of_zoo_cache(model: str) -> Optional[StartingWeights]:
    """What MXNet or GluonCV has fetched itself, if it is whole."""
    file = zoo_file(model)
    if file is None:
        return None
    sha1 = Zoo().published_sha1(model)
    if not has_digest(file, Digest("sha1", sha1)):
        raise WeightsError(f"{file}: SHA-1 is not {sha1}, the file is damaged", "Delete it")
    return StartingWeights(file, str(file))


def _downloads() -> Path:
    """Where files come to, so that what came of one is there when it is asked for again."""
    return weights_folder() / "downloads"
