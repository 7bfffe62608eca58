"""Pretrained weights for training: from the cache, else from the first source that works."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Optional
from urllib.parse import urlsplit

from fashionai.config import Config
from fashionai.conversion.published import PUBLISHED_WEIGHTS, published_weights
from fashionai.errors import WeightsError, choose_from, nearest
from fashionai.models.catalogue import Network
from fashionai.models.networks.registry import WITH_DROP_PATH
from fashionai.normalization import (
    IMAGENET_CROP_FRACTION,
    Channels,
)
from fashionai.progress import Advance, no_progress
from fashionai.runs import Run, RunFolder
from fashionai.weights.availability import (
    WITHOUT_WEIGHTS,
    has_local_weights,
    package_index,
    working_network,
)
from fashionai.weights.downloading import Digest, download, has_digest
from fashionai.weights.importing import import_weights, verify_weights
from fashionai.weights.licences import origin_of
from fashionai.weights.sources import SOURCES, WeightsSource, Zoo, sources_to_try
from fashionai.weights.store import (
    FILE_SOURCE_PREFIX,
    StartingWeights,
    Weights,
    cached_weights,
    check_content,
    downloads_folder,
    temporary_download_folder,
    weights_of,
    write_lock,
    zoo_cache_file,
)

log = logging.getLogger(__name__)


def starting_weights(config: Config) -> StartingWeights:
    """The weights that ``model.pretrained`` specifies. Raises WeightsError if there are none."""
    model = config.model
    if model.pretrained is False:
        return StartingWeights(None, "")
    if model.pretrained is True:
        return find_weights(model.name, model.drop_path)
    file = Path(model.pretrained)
    cached = weights_of(file)
    return _weights_in(file) if cached is None else _checked(cached)


def find_weights(model: str, drop_path: float = 0.0) -> StartingWeights:
    """The newest cached weights of a network, else those of the first source that works.

    The log says why each source failed. Raises WeightsError when all did, with a setting that
    works instead in a configuration with this ``model.drop_path``.
    """

    def hint(other: Optional[Network]) -> str:
        return f"This works here: {_working_setting(other, drop_path)}"

    found = _find_local(model)
    if found:
        return found
    _check_published(model)
    with write_lock(model):
        # Another process may have fetched the weights while this one waited for the lock.
        return _find_local(model) or _checked(_fetch_first(model, no_progress, hint))


def fetch_first(model: str, progress: Advance) -> Weights:
    """Fetch weights into the cache from the first source that works.

    The log says why each source failed. Raises WeightsError when all did, with a command that
    works instead.
    """

    def hint(other: Optional[Network]) -> str:
        if other is None:
            return f"Import a file: fashionai weights import FILE --model {model}"
        if has_local_weights(other.name):
            return f"Weights of {other.name} are here: fashionai init TASK --model {other.name}"
        return f"This works here: fashionai weights fetch {other.name}"

    _check_published(model)
    with write_lock(model):
        return _fetch_first(model, progress, hint)


def fetch_from(source: WeightsSource, model: str, progress: Advance) -> Weights:
    """Fetch the weights that a source publishes for a network into the cache.

    Raises WeightsError if the source has none or the download fails.
    """
    _check_published(model)
    if not source.offers(model):
        others = (other.name for other in SOURCES if other.offers(model))
        raise WeightsError(
            f"{source.name} does not publish weights of {model}", choose_from(others)
        )
    with write_lock(model):
        return _fetch_from(source, model, progress)


def fetch_url(
    url: str,
    model: str,
    mean: Optional[Channels],
    std: Optional[Channels],
    progress: Advance,
) -> Weights:
    """Download a file of weights and put it into the cache, as import_file does."""
    path = PurePosixPath(urlsplit(url).path)
    # The file keeps its name and that of its folder, which the record's source may need.
    name, parent = (
        part if part.strip(".") else "weights" for part in (path.name, path.parent.name)
    )
    with write_lock(model), temporary_download_folder(downloads_folder(), model) as folder:
        file = folder / parent / name
        download(url, file, None, progress)
        try:
            return _import_file(file, model, mean, std)
        except WeightsError as error:
            raise WeightsError(error.message.replace(str(file), url), error.hint) from None


def import_file(
    file: Path,
    model: str,
    mean: Optional[Channels] = None,
    std: Optional[Channels] = None,
    bgr: bool = False,
) -> Weights:
    """Put a file of the user into the cache, see import_weights.

    ``mean`` and ``std`` default to those of the published weights whose name is part
    of the file name. Otherwise they default, for checkpoints, to those of the first
    published weights of the network; for .params files, to those of the run that
    contains the file, whose crop fraction and licence are kept too; and else to those of
    ImageNet.
    """
    if not file.is_file():
        raise WeightsError(f"{file}: no such file")
    with write_lock(model):
        return _import_file(file, model, mean, std, bgr)


def _import_file(
    file: Path,
    model: str,
    mean: Optional[Channels],
    std: Optional[Channels],
    bgr: bool = False,
) -> Weights:
    """import_file for a caller that holds write_lock(model)."""
    named = [weights for weights in PUBLISHED_WEIGHTS if weights.name in file.name]
    similar = named or ([] if file.suffix == ".params" else published_weights(model))
    fraction, licence = None, ""
    if similar:
        default_mean, default_std = similar[0].mean, similar[0].std
    else:
        _, _, default_mean, default_std, fraction, licence = _weights_in(file)
    if bgr:  # The defaults are in RGB order.
        default_mean, default_std = default_mean[::-1], default_std[::-1]
    return import_weights(
        model,
        file,
        source=f"{FILE_SOURCE_PREFIX}{_distinct_name(file)}",
        mean=mean or default_mean,
        std=std or default_std,
        published=named[0] if named else None,
        crop_fraction=fraction,
        licence=licence,
        bgr=bgr,
    )


def _weights_in(file: Path) -> StartingWeights:
    """The weights in a file outside of the cache.

    A .params file of a run has the run's mean, standard deviation and crop fraction, and the
    licence of the weights that the run began with.

    Raises RunError for weights that are not those that the run recorded.
    """
    run = Run(RunFolder(file.parent))
    if file.suffix != ".params" or not run.folder.has_begun:
        return StartingWeights(file, str(file))
    run.check_hash(file)
    data, licence = run.config.data, origin_of(run).licence
    return StartingWeights(file, str(file), *data.normalization, data.crop_fraction, licence)


def _distinct_name(file: Path) -> str:
    """The file name, preceded by the folder name if many runs and exports have such a file."""
    is_common = file.stem in ("best", "best_ema", "last", "model", "pytorch_model")
    return f"{file.resolve().parent.name}/{file.name}" if is_common else file.name


def verify_network(model: str) -> Iterator[str]:
    """Verify all local weights of a network; yield the source of each after its verification.

    Raises WeightsError for the first damaged file.
    """
    for weights in cached_weights(model):
        verify_weights(weights)
        yield weights.record.source
    found = _find_in_zoo_cache(model)
    if found:
        yield found.source


def find_source(name: str) -> WeightsSource:
    """The source of that name. Raises WeightsError, with the nearest name, if it is unknown."""
    by_name = {source.name: source for source in SOURCES}
    if name not in by_name:
        hint = nearest(name, by_name)
        raise WeightsError(
            f"--from: '{name}' is neither a source nor a file",
            hint if hint.startswith("Did") else f"{hint}, a file or a URL",
        )
    return by_name[name]


def _fetch_first(
    model: str, progress: Advance, hint: Callable[[Optional[Network]], str]
) -> Weights:
    """Fetch from the first source that works; ``hint`` is that of the error, see find_weights.

    It gets another network, whose weights can be had.
    """
    failed = []
    for source in sources_to_try():
        if not source.offers(model):
            continue
        log.info("%s: fetching weights from %s (%s)", model, source.name, source.offers(model))
        try:
            return _fetch_from(source, model, progress)
        except WeightsError as error:
            log.info("%s: %s", source.name, error)
            failed.append(source)
    names = ", ".join(source.name for source in failed)
    # pip reaches no other package where it did not reach this one.
    other = working_network(pip_failed=package_index() in failed)
    raise WeightsError(
        f"no pretrained weights of {model}: none in the cache, and {names} failed", hint(other)
    )


def _working_setting(network: Optional[Network], drop_path: float) -> str:
    """The settings that train another network, or without any pretrained weights."""
    if network is None:
        return WITHOUT_WEIGHTS
    refused = drop_path and network.name not in WITH_DROP_PATH
    return f"model.name={network.name}" + (" model.drop_path=0" if refused else "")


def _fetch_from(source: WeightsSource, model: str, progress: Advance) -> Weights:
    fetched = source.fetch(model, downloads_folder(), progress)
    try:
        published = fetched.published
        return import_weights(
            model,
            fetched.file,
            source=fetched.source,
            mean=published.mean,
            std=published.std,
            published=published,
        )
    finally:
        fetched.file.unlink()


def _check_published(model: str) -> None:
    if not any(source.offers(model) for source in SOURCES):
        raise WeightsError(
            f"no pretrained weights of {model} are published",
            f"Import a file with fashionai weights import, or give {WITHOUT_WEIGHTS}",
        )


def _find_local(model: str) -> Optional[StartingWeights]:
    cached = cached_weights(model)
    return _checked(cached[0]) if cached else _find_in_zoo_cache(model)


def _checked(weights: Weights) -> StartingWeights:
    check_content(weights)
    record = weights.record
    fraction = record.crop_fraction or IMAGENET_CROP_FRACTION
    return StartingWeights(
        weights.file, record.source, record.mean, record.std, fraction, record.licence
    )


def _find_in_zoo_cache(model: str) -> Optional[StartingWeights]:
    """The weights that MXNet or GluonCV has downloaded. Raises WeightsError if damaged."""
    file = zoo_cache_file(model)
    if file is None:
        return None
    digest = Digest("sha1", Zoo().published_sha1(model))
    if not has_digest(file, digest):
        raise WeightsError(
            f"{file}: does not have {digest}: the file is damaged", "Delete the file"
        )
    return StartingWeights(file, str(file), licence=Zoo.LICENCE)
