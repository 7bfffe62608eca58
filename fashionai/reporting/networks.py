"""The table of networks."""

from __future__ import annotations

from collections.abc import Sequence

from fashionai.models.catalogue import Network
from fashionai.reporting.tables import aligned_table, keep_end
from fashionai.weights.sources import SOURCES
from fashionai.weights.store import weights_at_hand

EXPLANATION = """\
Operations: millions of multiply-accumulates for one image of so many pixels.
Top-1: published accuracy on ImageNet of the weights that model.pretrained=true
takes. Weights: at hand, or published and to be fetched when they are needed."""


def network_table(networks: Sequence[Network]) -> str:
    """A line for each network in the given order, and what the columns mean."""
    columns = [("pixels", 8), ("parameters", 13), ("operations", 12), ("top-1", 8), ("weights", 10)]
    lines = []
    for network in networks:
        top1 = "-" if network.top1 is None else f"{network.top1:.4f}"
        state = "at hand" if weights_at_hand(network.name) else "published"
        cells = (network.pixels, network.parameters, round(network.operations / 1e6), top1)
        lines.append((network.name, [*cells, state if network.weights else "-"]))
    return f"{aligned_table('network', columns, lines)}\n{EXPLANATION}"


def weights_table(networks: Sequence[Network]) -> str:
    """A line for each network: the weights that are here, and which sources publish some."""
    columns = [*((source.name, len(source.name) + 2) for source in SOURCES), ("here", 28)]
    lines = []
    for network in networks:
        file = weights_at_hand(network.name)
        here = "-" if file is None else keep_end(file.stem, 26)
        published = ["yes" if source.offers(network.name) else "-" for source in SOURCES]
        lines.append((network.name, [*published, here]))
    return aligned_table("network", columns, lines)
