"""A traced network with its parameters, as plain data: what MXNet hands to other frameworks.

Nothing here needs MXNet or PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

import numpy as np

# The name of the input variable of a graph.
INPUT = "data"

# A node of a graph and the number of one of its outputs.
Entry = tuple[int, int]


class Features(NamedTuple):
    """The input of the output layer: ``(B, *shape) float32``, computed by ``entry``.

    All dimensions of ``shape`` but the first are 1.
    """

    entry: Entry
    shape: tuple[int, ...]


@dataclass(frozen=True)
class NetworkDescription:
    """A traced network with its parameters, from ``(B, 3, H, W) float32`` to logits ``(B, C)``.

    Attributes:
        nodes: The nodes of the symbol's JSON in topological order: ``op`` (``null`` for a
            variable), ``name``, ``attrs`` (texts) and ``inputs`` (lists that begin with
            node and output).
        logits: The node and output that compute the logits.
        variables: The name in parameter files by the name of a variable node.
        parameters: All parameters of the network as float32, by name in parameter files and in
            the order of parameter files.
        order: Names in parameter files in the order of Gluon's optimizer, which numbers its state
            by the position here.
        rates: The factor of the learning rate of each trained parameter, in ``order``.
        decays: The factor of the weight decay of each trained parameter, in ``order``.
        moving: The parameters that training changes: trained ones and running statistics of
            batch normalisation that are updated.
        output: The names of the output layer's parameters.
        features: The input of the output layer, if the layers before it are frozen and give
            one constant vector per image.
        not_constant: The reason why ``features`` is None, otherwise an empty text.
    """

    nodes: list[dict[str, Any]]
    logits: Entry
    variables: dict[str, str]
    parameters: dict[str, np.ndarray]
    order: tuple[str, ...]
    rates: dict[str, float]
    decays: dict[str, float]
    moving: tuple[str, ...]
    output: frozenset[str]
    features: Optional[Features]
    not_constant: str
