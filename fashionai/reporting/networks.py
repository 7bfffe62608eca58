"""The table of networks."""

from __future__ import annotations

from collections.abc import Sequence

from fashionai.models.catalogue import Network
from fashionai.reporting.tables import aligned_table, keep_end
from fashionai.weights.sources import SOURCES
from fashionai.weights.store import cached_weights, find_local_file, zoo_cache_file

EXPLANATION = """\
Operations: millions of multiply-accumulates for one image of so many pixels.
Top-1: published accuracy on ImageNet of the zoo's weights. Weights: at hand, or
published and to be fetched when they are needed (fashionai weights list)."""


def network_table(networks: Sequence[Network]) -> str:
    """A line for each network in the given order, and what the columns mean."""
    columns = [("pixels", 8), ("parameters", 13), ("operations", 12), ("top-1", 8), ("weights", 10)]
    lines = []
    for network in networks:
        top1 = "-" if network.top1 is None else f"{network.top1:.4f}"
        published = any(source.offers(network.name) for source in SOURCES)
        state = "at hand" if find_local_file(network.name) else "published" if published else "-"
        cells = (network.pixels, network.parameters, round(network.operations / 1e6), top1)
        lines.append((network.name, [*cells, state]))
    return f"{aligned_table('network', columns, lines)}\n{EXPLANATION}"


def weights_table(networks: Sequence[Network], everything: bool) -> str:
    """Which sources publish weights of each network, and below it those that are here.

    Networks of which there are none are left out unless ``everything`` is asked for.
    """
    columns = [*((source.name, len(source.name) + 2) for source in SOURCES), ("here", 6)]
    lines, here = [], []
    for network in networks:
        found = _found_weights(network.name)
        here += [(network.name, cells) for cells in found]
        marks = [bool(source.offers(network.name)) for source in SOURCES] + [bool(found)]
        if everything or any(marks):
            lines.append((network.name, ["yes" if mark else "-" for mark in marks]))
    table = aligned_table("network", columns, lines)
    if not here:
        return f"{table}\nNone is here yet: fashionai weights fetch MODEL"
    return f"{table}\n\n{aligned_table('here', [('from', 44), ('MB', 7)], here)}"


def _found_weights(model: str) -> list[list[object]]:
    """Source and size of all weights of a network, those that training takes first."""
    found = [(weights.record.source, weights.file) for weights in cached_weights(model)]
    in_zoo_cache = zoo_cache_file(model)
    if in_zoo_cache:
        found.append((str(in_zoo_cache), in_zoo_cache))
    return [[keep_end(source, 42), f"{file.stat().st_size / 1e6:.0f}"] for source, file in found]
