"""The table of networks."""

from __future__ import annotations

from collections.abc import Sequence

from fashionai.models.catalogue import Network, weights_at_hand
from fashionai.reporting.tables import aligned_table

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
        state = "at hand" if weights_at_hand(network) else "published"
        cells = (network.pixels, network.parameters, round(network.operations / 1e6), top1)
        lines.append((network.name, [*cells, state if network.weights else "-"]))
    return f"{aligned_table('network', columns, lines)}\n{EXPLANATION}"
