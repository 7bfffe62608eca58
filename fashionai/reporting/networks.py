"""Tables of networks and of the weights that are published for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Optional

from fashionai.models.catalogue import Network
from fashionai.reporting.tables import Column, aligned_table
from fashionai.runtime import has_zoo_mirror
from fashionai.text_width import keep_end
from fashionai.training.speed.estimate import EXAMPLE_EPOCHS, EXAMPLE_IMAGES, trains_in_an_hour
from fashionai.weights.licences import shown_licence
from fashionai.weights.sources import SOURCES, PackageIndex, Zoo
from fashionai.weights.store import CachedWeights, read_cache, zoo_cache_file

EXPLANATION = f"""\
top-1: ImageNet accuracy of the best published weights, for images of px pixels.
params: millions. GFLOPs: billions of multiply-accumulates for one such image.
weights: local, or their source; fashionai weights list has all sources.
* with weights, and trains {EXAMPLE_IMAGES:,} images for {EXAMPLE_EPOCHS} epochs in an hour
  on 2 cores (estimated)"""
LOCAL = "local"
# Of equally accurate weights, those of the first of these sources are listed.
PREFERRED_SOURCES = ("package", "hub", "torchvision", "zoo")

Order = Literal["best", "accuracy", "cost", "name"]


class ListedNetwork(NamedTuple):
    """A network with its best published weights.

    ``top1`` is their ImageNet accuracy for images of ``pixels`` pixels, None if unknown.
    ``operations`` are those for an image of this size. ``places`` says where weights
    can be had: ``local`` or names of sources, that of the best weights first.
    ``licence`` is empty if unknown. ``problems`` says what is wrong with its local weights.
    """

    name: str
    top1: Optional[float]
    pixels: int
    parameters: int
    operations: float
    places: tuple[str, ...]
    licence: str
    problems: tuple[str, ...] = ()

    @property
    def has_weights(self) -> bool:
        """Whether weights can be had; the zoos' hosts are gone, so that only a mirror counts."""
        return any(place != Zoo.name or has_zoo_mirror() for place in self.places)


def list_network(network: Network) -> ListedNetwork:
    """A network of the catalogue with its best published weights."""
    offered = {source.name: source.published(network.name) for source in SOURCES}
    published = [(name, weights) for name in PREFERRED_SOURCES if (weights := offered[name])]
    # The zoos' weights count only without others, because their hosts are gone.
    published.sort(key=lambda item: (item[0] == Zoo.name, -(item[1].top1 or 0)))
    places = [name for name, _ in published]
    best = published[0][1] if published else None
    pixels = best.pixels if best else network.pixels
    licence = best.licence if best else ""
    cached = read_cache(network.name)
    if cached.whole or zoo_cache_file(network.name):
        licence = cached.whole[0].record.licence if cached.whole else Zoo.LICENCE
        places.insert(0, LOCAL)
    return ListedNetwork(
        name=network.name,
        top1=best.top1 if best else None,
        pixels=pixels,
        parameters=network.parameters,
        operations=network.operations * (pixels / network.pixels) ** 2,
        places=tuple(places),
        licence=licence,
        problems=tuple(map(str, cached.errors)),
    )


def select_networks(
    networks: Sequence[ListedNetwork],
    max_params: Optional[float] = None,
    max_gflops: Optional[float] = None,
    with_weights: bool = False,
) -> list[ListedNetwork]:
    """The networks with at most so many millions of parameters and billions of operations.

    ``with_weights`` leaves out networks whose weights cannot be had.
    """
    return [
        network
        for network in networks
        if (max_params is None or network.parameters <= max_params * 1e6)
        and (max_gflops is None or network.operations <= max_gflops * 1e9)
        and (network.has_weights or not with_weights)
    ]


def best_networks(networks: Sequence[ListedNetwork]) -> list[ListedNetwork]:
    """The networks with weights that no other one equals with fewer operations.

    This is the Pareto front of accuracy and operations, the most accurate network first.
    """
    rated = [network for network in networks if network.top1 is not None and network.has_weights]
    front: list[ListedNetwork] = []
    for network in sorted(rated, key=lambda network: (network.operations, -_accuracy(network))):
        if not front or _accuracy(network) > _accuracy(front[-1]):
            front.append(network)
    return front[::-1]


def network_table(networks: Sequence[ListedNetwork], order: Order = "best") -> str:
    """One line per network, an explanation of the columns, and what is wrong with local weights.

    The order ``best`` puts best_networks first, separated by an empty line from the
    others; both by accuracy.
    """
    columns = [
        *(("top-1", 7), ("params", 7), ("GFLOPs", 7), ("px", 4), ("weights", 13), ("licence", 13)),
    ]
    first = best_networks(networks) if order == "best" else []
    others = [network for network in networks if network not in first]
    ordered = [*first, *sorted(others, key=_ORDERS[order])]
    lines = aligned_table(
        "network", columns, [(network.name, _cells(network)) for network in ordered]
    ).split("\n")
    if first and others:
        lines.insert(1 + len(first), "")
    problems = [problem for network in ordered for problem in network.problems]
    return "\n".join([*lines, EXPLANATION, *problems])


def _shown_places(places: Sequence[str]) -> str:
    """The first place, and pip's packages, which need no other host."""
    shown = places[:1]
    if PackageIndex.name in places[1:] and LOCAL not in shown:
        shown = (*shown, PackageIndex.name)
    return ", ".join(shown) or "-"


def _cells(network: ListedNetwork) -> list[object]:
    marked = network.has_weights and trains_in_an_hour(network.name, network.pixels)
    return [
        "-" if network.top1 is None else f"{network.top1:.4f}",
        f"{network.parameters / 1e6:.1f}",
        f"{network.operations / 1e9:.2f}{'*' if marked else ' '}",
        network.pixels,
        _shown_places(network.places),
        shown_licence(network.licence) if network.places else "-",
    ]


def _accuracy(network: ListedNetwork) -> float:
    return network.top1 or 0.0


def _by_accuracy(network: ListedNetwork) -> tuple[object, ...]:
    return -_accuracy(network), network.operations, network.name


_ORDERS: dict[str, Callable[[ListedNetwork], tuple[object, ...]]] = {
    "best": _by_accuracy,
    "accuracy": _by_accuracy,
    "cost": lambda network: (network.operations, network.name),
    "name": lambda network: (network.name,),
}


def weights_table(networks: Sequence[Network], everything: bool) -> str:
    """The licence of the weights of each source, the weights on this machine, and their problems.

    Networks without any weights are listed only if ``everything`` is true.
    """
    columns = [(source.name, max(len(source.name), 12) + 1) for source in SOURCES]
    lines, local, problems = [], [], []
    for network in networks:
        cached = read_cache(network.name)
        problems += [str(error) for error in cached.errors]
        found = _found_weights(network.name, cached)
        local += [(network.name, cells) for cells in found]
        published = [source.published(network.name) for source in SOURCES]
        if everything or found or any(published):
            cells = [shown_licence(weights.licence) if weights else "-" for weights in published]
            lines.append((network.name, cells))
    explanation = "The columns of the sources have the licences of their weights."
    published_table = aligned_table("network", columns, lines)
    return "\n".join([published_table, explanation, _local_table(local), *problems])


def _local_table(lines: Sequence[tuple[str, list[object]]]) -> str:
    if not lines:
        return "No local weights. Download some: fashionai weights fetch MODEL"
    columns: list[Column] = [("from", 36), ("licence", 14), ("MB", 6)]
    return "\n" + aligned_table("local", columns, lines)


def _found_weights(model: str, cached: CachedWeights) -> list[list[object]]:
    """Source, licence and size in MB of a network's local weights, the preferred ones first."""
    found = [(each.record.source, each.record.licence, each.file) for each in cached.whole]
    in_zoo_cache = zoo_cache_file(model)
    if in_zoo_cache:
        found.append((str(in_zoo_cache), Zoo.LICENCE, in_zoo_cache))
    return [
        [keep_end(source, 34), shown_licence(licence), f"{file.stat().st_size / 1e6:.0f}"]
        for source, licence, file in found
    ]
