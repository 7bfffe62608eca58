"""Operators of a traced network that are separate for MXNet's quick gradients alone, as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Node = dict[str, Any]

# The attribute of operators clip that stand for a ReLU, too: they pass no gradient at 0.
OF_RELU = "__of_relu__"


def merge_operators(nodes: Sequence[Node]) -> list[Node]:
    """Nodes of MXNet's JSON with operators merged, at the same places.

    A ReLU that is cut (see fashionai.models.networks.blocks.relu6) becomes the clip of its input.
    Squeeze-and-excitation (see inverted_residuals beside it) has a global pooling, which oneDNN
    quantizes, and a broadcast_mul. The nodes that are then no longer read stay.
    """
    merged = list(nodes)
    for index, node in enumerate(nodes):
        sources = [nodes[source] for source, *_ in node["inputs"]]
        if node["op"] == "clip":
            merged[index] = _without_relu(node, *sources)
        elif node["op"] == "elemwise_mul":
            merged[index] = _without_broadcast(node, *sources)
        elif node["op"] == "_contrib_AdaptiveAvgPooling2D":
            merged[index] = _global_pooling(node)
    return merged


def _without_relu(clip: Node, source: Node) -> Node:
    """The gradients differ at 0, which OF_RELU tells those who compute them."""
    if source.get("attrs") != {"act_type": "relu"} or float(clip["attrs"]["a_min"]) != 0:
        return clip
    return {**clip, "attrs": {**clip["attrs"], OF_RELU: "True"}, "inputs": source["inputs"]}


def _without_broadcast(product: Node, maps: Node, factors: Node) -> Node:
    maps_entry = product["inputs"][0]
    if factors["op"] != "broadcast_like" or factors["inputs"][1] != maps_entry:
        return product
    return {**product, "op": "broadcast_mul", "inputs": [maps_entry, factors["inputs"][0]]}


def _global_pooling(pooling: Node) -> Node:
    """Adaptive pooling to one value as global pooling; MXNet ignores its kernel but needs one."""
    if pooling.get("attrs", {}).get("output_size") not in ("1", "(1, 1)", "(1,)"):
        return pooling
    attributes = {"kernel": "(1, 1)", "global_pool": "True", "pool_type": "avg"}
    return {**pooling, "op": "Pooling", "attrs": attributes}
