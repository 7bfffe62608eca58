"""Tables of networks and of the weights that are published for them."""

from __future__ import annotations

from collections.abc import Sequence

from fashionai.models.catalogue import Network
from fashionai.reporting.tables import aligned_table, keep_end
from fashionai.weights.sources import SOURCES
from fashionai.weights.store import cached_weights, find_local_file, zoo_cache_file

EXPLANATION = """\
Operations: millions of multiply-accumulates for one image of that many pixels.
Top-1: published ImageNet accuracy of the model zoo's weights. Weights: local,
or published, to be downloaded when needed (fashionai weights list)."""


def network_table(networks: Sequence[Network]) -> str:
    """One line per network, in the given order, and an explanation of the columns."""
    columns = [("pixels", 8), ("parameters", 13), ("operations", 12), ("top-1", 8), ("weights", 10)]
    lines = []
    for network in networks:
        top1 = "-" if network.top1 is None else f"{network.top1:.4f}"
        published = any(source.offers(network.name) for source in SOURCES)
        state = "published" if published else "-"
        if find_local_file(network.name):
            state = "local"
        cells = (network.pixels, network.parameters, round(network.operations / 1e6), top1)
        lines.append((network.name, [*cells, state]))
    return f"{aligned_table('network', columns, lines)}\n{EXPLANATION}"


def weights_table(networks: Sequence[Network], everything: bool) -> str:
    """Which sources publish weights of each network, then the weights on this machine.

    Networks without any weights are listed only if ``everything`` is true.
    """
    columns = [*((source.name, len(source.name) + 2) for source in SOURCES), ("local", 7)]
    lines, local = [], []
    for network in networks:
        found = _found_weights(network.name)
        local += [(network.name, cells) for cells in found]
        marks = [bool(source.offers(network.name)) for source in SOURCES] + [bool(found)]
        if everything or any(marks):
            lines.append((network.name, ["yes" if mark else "-" for mark in marks]))
    table = aligned_table("network", columns, lines)
    if not local:
        return f"{table}\nNo local weights. Download some: fashionai weights fetch MODEL"
    return f"{table}\n\n{aligned_table('local', [('from', 44), ('MB', 7)], local)}"


def _found_weights(model: str) -> list[list[object]]:
    """Source and size in MB of all weights of a network, the ones that training prefers first."""
    found = [(weights.record.source, weights.file) for weights in cached_weights(model)]
    in_zoo_cache = zoo_cache_file(model)
    if in_zoo_cache:
        found.append((str(in_zoo_cache), in_zoo_cache))
    return [[keep_end(source, 42), f"{file.stat().st_size / 1e6:.0f}"] for source, file in found]
