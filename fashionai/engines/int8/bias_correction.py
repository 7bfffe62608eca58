"""Bias correction: the layers of a quantized network keep the channel means of the exact ones.

Rounding shifts the mean of what a layer computes, channel by channel, and the shifts add up along
the network. MobileNets lose several points of accuracy by it. A bias per channel takes the shift
back, at no cost in speed (Nagel et al., arXiv:1906.04721, section 4.2, with means that are measured
on images).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.graph import INPUT, Graph, changed_symbol, compute, graph_of
from fashionai.progress import ProgressBar, no_bar

mx = import_mxnet()

# What MXNet puts before the name of an operator that it quantizes.
PREFIX = "quantized_"
# How the names of parameters end that are added to a channel.
BIASES = ("_bias", "_beta")
# A bias moves only those values of a channel that no activation cuts off. Channels with a smaller
# share of them stay as they are.
SMALLEST_SHARE = 0.05
# The largest number of each quantized dtype.
LARGEST = {np.dtype(np.uint8): 255, np.dtype(np.int8): 127}


def correct_biases(
    exact: Graph, quantized: Graph, batches: Sequence[Any], progress: ProgressBar = no_bar
) -> Graph:
    """The quantized graph with biases that keep each channel's mean over these images.

    ``exact`` is the graph that was quantized, after oneDNN's fusion; ``batches`` are normalised
    images ``(B, 3, H, W) float32``, all of one shape. Layers are corrected from the first to the
    last, each on what the corrected ones before it compute. Layers without a float32 bias per
    channel stay as they are. ``progress`` counts operators.
    """
    description = json.loads(quantized.symbol.tojson())
    nodes = description["nodes"]
    values = {**quantized.arguments, **quantized.statistics}
    found = ((index, _bias_of(index, nodes, values)) for index in range(len(nodes)))
    biases = {index: bias for index, bias in found if bias is not None}
    names = {index: nodes[index]["name"].removeprefix(PREFIX) for index in biases}
    means = _channel_means(exact, names, batches)
    layers = _Layers(description, values, batches)
    with progress("correcting biases", len(layers.operators), "operators") as advance:
        for index in layers.operators:
            outputs = layers.compute(index)
            if index in means:
                bias = biases[index]
                values[bias] = values[bias] + mx.nd.array(_missing(outputs, means[index]))
                outputs = layers.compute(index)
            layers.keep(index, outputs)
            advance(1)
    return graph_of(quantized.symbol, values)


def _bias_of(index: int, nodes: Sequence[dict[str, Any]], values: dict[str, Any]) -> Optional[str]:
    """The parameter that is added to the channels of a quantized operator last, if there is one."""
    if not nodes[index]["name"].startswith(PREFIX):
        return None
    inputs = (nodes[source]["name"] for source, *_ in nodes[index]["inputs"])
    found = [
        name
        for name in inputs
        if name.endswith(BIASES) and name in values and values[name].dtype == np.float32
    ]
    return found[-1] if found else None


def _channel_means(
    exact: Graph, names: Mapping[int, str], batches: Sequence[Any]
) -> dict[int, np.ndarray]:
    """The mean over images and positions of each channel, of those of the operators that it has."""
    internals = exact.symbol.get_internals()
    outputs = set(internals.list_outputs())
    known = [index for index, name in names.items() if f"{name}_output" in outputs]
    if not known:
        return {}
    symbol = mx.sym.Group(
        [mx.sym.mean(internals[f"{names[index]}_output"], axis=1, exclude=True) for index in known]
    )
    values = {**exact.arguments, **exact.statistics}
    means = [
        [output.asnumpy() for output in compute(symbol, {**values, INPUT: images})]
        for images in batches
    ]
    return {index: np.mean(each, axis=0) for index, each in zip(known, zip(*means))}


class _Layers:
    """The operators of a graph, computed one by one, and the outputs that others still need.

    ``operators`` are their indices, in the order of computation. The outputs of an operator are a
    list per batch.
    """

    def __init__(
        self, description: dict[str, Any], values: dict[str, Any], batches: Sequence[Any]
    ) -> None:
        self._description, self._nodes = description, description["nodes"]
        self._values = values
        self.operators = [index for index, node in enumerate(self._nodes) if node["op"] != "null"]
        images = next(index for index, node in enumerate(self._nodes) if node["name"] == INPUT)
        self._outputs: dict[int, list[list[Any]]] = {images: [[batch] for batch in batches]}
        self._batches = len(batches)
        self._readers = Counter(
            source for index in self.operators for source in self._sources(index)
        )

    def _sources(self, index: int) -> set[int]:
        return {source for source, *_ in self._nodes[index]["inputs"]}

    def compute(self, index: int) -> list[list[Any]]:
        """The outputs of an operator for all batches, with its parameters of now."""
        symbol, entries = self._alone(index)
        computed = []
        for batch in range(self._batches):
            inputs = {
                name: self._values[self._nodes[source]["name"]]
                if source not in self._outputs
                else self._outputs[source][batch][output]
                for name, (source, output, *_) in entries
            }
            computed.append(compute(symbol, inputs))
        return computed

    def keep(self, index: int, outputs: list[list[Any]]) -> None:
        """Keep the outputs for those who read them, and forget those that nobody reads any more."""
        self._outputs[index] = outputs
        for source in self._sources(index):
            self._readers[source] -= 1
            if not self._readers[source]:
                self._outputs.pop(source, None)

    def _alone(self, index: int) -> tuple[Any, list[tuple[str, Sequence[int]]]]:
        """The symbol of one operator, and what its variables stand for: operator and output."""
        node, rows = self._nodes[index], self._description["node_row_ptr"]
        entries = [(f"input{number}", entry) for number, entry in enumerate(node["inputs"])]
        variables = [{"op": "null", "name": name, "inputs": []} for name, _ in entries]
        alone = {**node, "inputs": [[number, 0, 0] for number in range(len(entries))]}
        outputs = range(rows[index + 1] - rows[index])
        symbol = changed_symbol(
            {
                **self._description,
                "nodes": [*variables, alone],
                "heads": [[len(entries), output, 0] for output in outputs],
            }
        )
        return symbol, entries


def _missing(outputs: Sequence[Sequence[Any]], expected: np.ndarray) -> np.ndarray:
    """What has to be added to the bias of each channel to get the expected means."""
    found = [_mean_and_share(*output) for output in outputs]
    mean, inside = (np.mean(each, axis=0) for each in zip(*found))
    moved = inside > SMALLEST_SHARE
    return np.where(moved, (expected - mean) / np.maximum(inside, SMALLEST_SHARE), 0)


def _mean_and_share(values: Any, *ends: Any) -> tuple[np.ndarray, np.ndarray]:
    """Of each channel: the mean, and the share of values inside of the range that has these ends.

    ``values`` are ``(B, C, ...)``, quantized; or float32 without ends.
    """
    numbers = values.asnumpy()
    others = tuple(axis for axis in range(numbers.ndim) if axis != 1)
    if numbers.dtype not in LARGEST:
        return numbers.mean(axis=others), np.ones(numbers.shape[1])
    largest = LARGEST[numbers.dtype]
    step = max(abs(float(end.asscalar())) for end in ends) / largest
    least = 0 if numbers.dtype == np.uint8 else -largest
    inside = (numbers > least) & (numbers < largest)
    return numbers.mean(axis=others, dtype=np.float32) * step, inside.mean(axis=others)
