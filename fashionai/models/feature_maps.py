"""The last feature map of a network, found in its graph, and the two parts before and after it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

from fashionai.errors import ConfigError
from fashionai.models.graph import INPUT, Graph, changed_symbol, graph_of

# The product of queries and keys: a network with attention between patches.
ATTENTION = "batch_dot"


class SplitGraph(NamedTuple):
    """A graph in two parts.

    ``before`` computes a feature map ``(B, C, H, W)`` from images, ``after`` the logits from it.
    """

    before: Graph
    after: Graph


def split_at_last_map(graph: Graph, crop: int, name: str) -> SplitGraph:
    """Split the graph of network ``name`` at its last feature map for images of ``crop`` pixels.

    That is the last output of more than one pixel that no pooling computes and that everything
    behind it depends on alone. Raises ConfigError for a network with attention between patches,
    whose last layers have no map, and for one without such an output.
    """
    description = json.loads(graph.symbol.tojson())
    nodes = description["nodes"]
    if any(node["op"] == ATTENTION for node in nodes):
        raise ConfigError(
            f"{name}: has attention between patches and no feature map that could be explained",
            "Choose a run of a convolutional network",
        )
    at = _last_map(nodes, description["heads"][0][0], _shapes(graph.symbol, crop))
    if at is None:
        raise ConfigError(f"{name}: no feature map in it at crops of {crop} pixels")
    values = {**graph.arguments, **graph.statistics}
    before = changed_symbol({**description, "heads": [[at, 0, 0]]})
    variable = {"op": "null", "name": INPUT, "inputs": []}
    after = changed_symbol({**description, "nodes": [*nodes[:at], variable, *nodes[at + 1 :]]})
    return SplitGraph(graph_of(before, values), graph_of(after, values))


def _shapes(symbol: Any, crop: int) -> Mapping[str, Sequence[int]]:
    """The shape of the first output of every node by the node's name, for one image."""
    internals = symbol.get_internals()
    _, shapes, _ = internals.infer_shape(**{INPUT: (1, 3, crop, crop)})
    named = zip(internals.list_outputs(), shapes)
    return {name[: -len("_output")]: shape for name, shape in named if name.endswith("_output")}


def _last_map(
    nodes: Sequence[Mapping[str, Any]], logits: int, shapes: Mapping[str, Sequence[int]]
) -> Optional[int]:
    """The index of the node that computes the last feature map, see split_at_last_map."""
    from_input, to_logits = _path_counts(nodes, logits)
    for at in range(logits, -1, -1):
        shape = shapes.get(nodes[at]["name"], ())
        is_map = len(shape) == 4 and shape[2] == shape[3] > 1
        is_on_all_paths = from_input[at] * to_logits[at] == from_input[logits]
        if is_map and is_on_all_paths and nodes[at]["op"] not in ("null", "Pooling"):
            return at
    return None


def _path_counts(nodes: Sequence[Mapping[str, Any]], logits: int) -> tuple[list[int], list[int]]:
    """The number of paths from the images to each node, and from each node to the logits.

    Nodes come after their inputs.
    """
    from_input = [int(node["name"] == INPUT) for node in nodes]
    to_logits = [int(at == logits) for at in range(len(nodes))]
    for at, node in enumerate(nodes):
        from_input[at] += sum(from_input[source] for source, *_ in node["inputs"])
    for at in range(len(nodes) - 1, -1, -1):
        for source, *_ in nodes[at]["inputs"]:
            to_logits[source] += to_logits[at]
    return from_input, to_logits
