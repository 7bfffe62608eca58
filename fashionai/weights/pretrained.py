"""Pretrained weights for training: from the cache, else from the first source that has them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import NamedTuple, Optional
from urllib.parse import urlsplit

from fashionai.config import Config
from fashionai.conversion.published import PUBLISHED_WEIGHTS, published_weights
from fashionai.errors import WeightsError, nearest
from fashionai.normalization import IMAGENET_MEAN, IMAGENET_STD, Channels
from fashionai.progress import Advance
from fashionai.runs import Run, RunFolder
from fashionai.runtime import weights_folder
from fashionai.weights.downloading import Digest, download, has_digest
from fashionai.weights.importing import import_weights, verify_weights
from fashionai.weights.sources import SOURCES, Source, Zoo
from fashionai.weights.store import (
    OWN_FILES,
    Weights,
    cached_weights,
    check_content,
    downloads_folder,
    only_writer,
    weights_of,
    zoo_file,
)

log = logging.getLogger(__name__)


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
    cached = weights_of(file)
    return (
        StartingWeights(file, str(file), *_input_of(file)) if cached is None else _checked(cached)
    )


def find_weights(model: str) -> StartingWeights:
    """The newest weights of a network in the cache, else what the first source gives.

    Raises WeightsError that lists what was tried and why each failed.
    """
    found = _find_at_hand(model)
    if found:
        return found
    _check_published(model)
    with only_writer(model):
        # Another process may have fetched them while this one waited.
        return _find_at_hand(model) or _checked(_fetch_first(model, lambda received: None))


def fetch_first(model: str, progress: Advance) -> Weights:
    """Put weights into the cache from the first source that gives them, else as find_weights."""
    _check_published(model)
    with only_writer(model):
        return _fetch_first(model, progress)


def fetch_from(source: Source, model: str, progress: Advance) -> Weights:
    """Put what a source publishes for a network into the cache; WeightsError when it cannot."""
    _check_published(model)
    if not source.offers(model):
        others = ", ".join(other.name for other in SOURCES if other.offers(model))
        raise WeightsError(
            f"{source.name} does not publish weights of {model}", f"Choose from: {others}"
        )
    with only_writer(model):
        return _fetch_from(source, model, progress)


def fetch_address(
    url: str,
    model: str,
    mean: Optional[Channels],
    std: Optional[Channels],
    progress: Advance,
) -> Weights:
    """Put the file at an address into the cache, as import_file does."""
    name = PurePosixPath(urlsplit(url).path).name
    with TemporaryDirectory(prefix="fashionai-") as folder:
        file = Path(folder) / (name if name.strip(".") else "weights")
        download(url, file, None, progress)
        try:
            return import_file(file, model, mean, std)
        except WeightsError as error:
            raise WeightsError(error.message.replace(str(file), url), error.hint) from None


def import_file(
    file: Path,
    model: str,
    mean: Optional[Channels] = None,
    std: Optional[Channels] = None,
    bgr: bool = False,
) -> Weights:
    """Put a file of one's own into the cache; see import_weights.

    Without ``mean`` and ``std`` its input is that of the published weights of
    its name, else of the network's first published ones, of .params files that of
    the run that they lie in, else ImageNet's.
    """
    if not file.is_file():
        raise WeightsError(f"{file}: no such file")
    own = [weights for weights in PUBLISHED_WEIGHTS if weights.name in file.name]
    if not own and file.suffix != ".params":
        own = published_weights(model)
    known = (own[0].mean, own[0].std) if own else _input_of(file)
    # What is known is of RGB.
    known_mean, known_std = (each[::-1] if bgr else each for each in known)
    with only_writer(model):
        return import_weights(
            model,
            file,
            source=f"{OWN_FILES}{_distinct_name(file)}",
            mean=mean or known_mean,
            std=std or known_std,
            bgr=bgr,
        )


def _input_of(file: Path) -> tuple[Channels, Channels]:
    """Mean and deviation of the run that a .params file lies in, ImageNet's without one."""
    run = Run(RunFolder(file.parent))
    if file.suffix == ".params" and run.folder.has_begun:
        return run.config.data.normalization
    return IMAGENET_MEAN, IMAGENET_STD


def _distinct_name(file: Path) -> str:
    """The file's name, with its folder's where every run or export has one of that name."""
    common = file.stem in ("best", "best_ema", "last", "model", "pytorch_model")
    return f"{file.resolve().parent.name}/{file.name}" if common else file.name


def verify_network(model: str) -> Iterator[str]:
    """The source of each of the weights of a network that are here, once it is verified.

    Raises WeightsError for the first that is damaged.
    """
    for weights in cached_weights(model):
        verify_weights(weights)
        yield weights.record.source
    found = _find_in_zoo_cache(model)
    if found:
        yield found.source


def find_source(name: str) -> Source:
    """The source of that name; WeightsError that tells the nearest one."""
    by_name = {source.name: source for source in SOURCES}
    if name not in by_name:
        hint = nearest(name, by_name)
        raise WeightsError(
            f"--from: '{name}' is neither a source nor a file",
            hint if hint.startswith("Did") else f"{hint}, a file or a URL",
        )
    return by_name[name]


def _fetch_first(model: str, progress: Advance) -> Weights:
    tried = []
    for source in SOURCES:
        if not source.offers(model):
            continue
        log.info("%s: fetching weights from %s (%s)", model, source.name, source.offers(model))
        try:
            return _fetch_from(source, model, progress)
        except WeightsError as error:
            tried.append(f"; {source.name}: {error}")
    others = [source.name for source in SOURCES if not source.offers(model)]
    if others:
        tried.append(f"; not published by {', '.join(others)}")
    raise WeightsError(
        f"no pretrained weights of {model}: none in {weights_folder()}{''.join(tried)}",
        _other_ways(model),
    )


def _fetch_from(source: Source, model: str, progress: Advance) -> Weights:
    fetched = source.fetch(model, downloads_folder(), progress)
    try:
        return import_weights(
            model, fetched.file, source=fetched.source, mean=fetched.mean, std=fetched.std
        )
    finally:
        fetched.file.unlink()


def _check_published(model: str) -> None:
    if not any(source.offers(model) for source in SOURCES):
        raise WeightsError(f"no weights of {model} are published", _other_ways(model))


def _other_ways(model: str) -> str:
    return (
        f"Import a file: fashionai weights import FILE --model {model}, "
        "or train with model.pretrained=false"
    )


def _find_at_hand(model: str) -> Optional[StartingWeights]:
    cached = cached_weights(model)
    return _checked(cached[0]) if cached else _find_in_zoo_cache(model)


def _checked(weights: Weights) -> StartingWeights:
    check_content(weights)
    record = weights.record
    return StartingWeights(weights.file, record.source, record.mean, record.std)


def _find_in_zoo_cache(model: str) -> Optional[StartingWeights]:
    """What MXNet or GluonCV has fetched itself, if it is whole."""
    file = zoo_file(model)
    if file is None:
        return None
    digest = Digest("sha1", Zoo().published_sha1(model))
    if not has_digest(file, digest):
        raise WeightsError(f"{file}: does not have {digest}, it is damaged", "Delete it")
    return StartingWeights(file, str(file))
