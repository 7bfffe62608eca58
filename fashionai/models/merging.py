"""Pairs of operators that train quickly in MXNet, as the single operators that others know.

Prediction, quantization and exports need the single ones: oneDNN computes them as part of
convolutions, also with 8-bit integers, and ONNX has them as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Node = dict[str, Any]

# The attribute of a clip that stands for a ReLU as well and so passes no gradient at 0.
OF_RELU = "of_relu"


def merge_operators(nodes: Sequence[Node], mark_relus: bool = False) -> list[Node]:
    """Nodes of MXNet's JSON with pairs replaced by one operator at the place of the second one.

    The clip of a ReLU becomes the clip of the ReLU's input; with ``mark_relus`` it has the
    attribute OF_RELU, which MXNet does not know. The product of maps and factors that were
    brought to their shape becomes a broadcast_mul. Operators that are then not read stay.
    """
    merged = list(nodes)
    for index, node in enumerate(nodes):
        sources = [nodes[source] for source, *_ in node["inputs"]]
        if node["op"] == "clip":
            merged[index] = _without_relu(node, sources[0], mark_relus)
        elif node["op"] == "elemwise_mul":
            merged[index] = _without_broadcast(node, *sources)
    return merged


def _without_relu(clip: Node, source: Node, mark_relus: bool) -> Node:
    if source.get("attrs") != {"act_type": "relu"} or float(clip["attrs"]["a_min"]) != 0:
        return clip
    mark = {OF_RELU: "True"} if mark_relus else {}
    return {**clip, "attrs": {**clip["attrs"], **mark}, "inputs": source["inputs"]}


def _without_broadcast(product: Node, maps: Node, factors: Node) -> Node:
    maps_entry = product["inputs"][0]
    if factors["op"] != "broadcast_like" or factors["inputs"][1] != maps_entry:
        return product
    return {**product, "op": "broadcast_mul", "inputs": [maps_entry, factors["inputs"][0]]}
