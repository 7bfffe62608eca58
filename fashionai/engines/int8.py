"""Quantized networks from pixels to probabilities.

A quantized network begins with 8-bit integers, and so do images: what lies between
them is a table of 256 entries for each channel, in place of normalising in float32
and quantizing again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import cv2
import numpy as np

from fashionai.models.forward import IMAGES_PER_THREAD, BatchForward, Forward, Normalize
from fashionai.models.graph import INPUT, Graph, as_block, changed_symbol, graph_of
from fashionai.runtime import import_mxnet

mx = import_mxnet()

QUANTIZE = "_contrib_quantize_v2"
# Names of what a quantized input comes with: the range that its integers stand for.
RANGE = ("data_min", "data_max")
LEVELS = 256


class _Beginning(NamedTuple):
    """Of a graph: the node of the pixels, and the one that makes integers of them."""

    pixels: int
    quantize: int


class _Table(NamedTuple):
    """``entries`` are ``(3, 256)``, int8 or uint8; ``limits`` are the ends of their range."""

    entries: np.ndarray
    limits: tuple[float, float]


def integer_engine(
    graph: Graph,
    normalization: tuple[Sequence[float], Sequence[float]],
    contexts: Sequence[Any],
    columns: Sequence[slice],
) -> BatchForward:
    """What computes a quantized graph of normalised images, fed with ``(N, H, W, 3) uint8`` RGB."""
    description = json.loads(graph.symbol.tojson())
    beginning = _find_beginning(description["nodes"])
    if beginning is None:
        return Forward(as_block(graph, contexts), *normalization, contexts, columns)
    maker = description["nodes"][beginning.quantize]
    source = description["nodes"][maker["inputs"][0][0]]
    table = _tabulate(_evaluate(graph, source, _levels(normalization)), maker["attrs"])
    network = as_block(_behind(graph, description, beginning, table.limits), contexts)
    return IntegerForward(network, table.entries, contexts, columns)


class IntegerForward(BatchForward):
    """A network of 8-bit integers, fed with pixels; ``table`` is ``(3, 256)``, int8 or uint8."""

    rows_per_thread = IMAGES_PER_THREAD

    def __init__(
        self, network: Any, table: np.ndarray, contexts: Sequence[Any], columns: Sequence[slice]
    ) -> None:
        super().__init__(network, contexts, columns)
        self.table = table

    def split(self, array: np.ndarray) -> list[Any]:
        """Planes of integers ``(B, 3, H, W)`` on each device."""
        planes = np.empty((len(array), 3, *array.shape[1:3]), np.uint8)
        for image, own in zip(array, planes):
            for plane, entries, target in zip(cv2.split(image), self.table.view(np.uint8), own):
                cv2.LUT(plane, entries, target)
        return super().split(planes.view(self.table.dtype))


def _find_beginning(nodes: Sequence[dict[str, Any]]) -> Optional[_Beginning]:
    """None where integers do not follow from the pixels of one place and channel alone."""
    pixels = next(at for at, node in enumerate(nodes) if node["name"] == INPUT)
    at = pixels
    while True:
        readers = [
            number
            for number, node in enumerate(nodes)
            if any(source == at for source, *_ in node["inputs"])
        ]
        if len(readers) != 1 or nodes[readers[0]]["op"] not in ("BatchNorm", QUANTIZE):
            # Everybody who reads the integers reads them from the node that makes them.
            return _Beginning(pixels, at) if nodes[at]["op"] == QUANTIZE else None
        (at,) = readers


def _levels(normalization: tuple[Sequence[float], Sequence[float]]) -> Any:
    """A normalised image that has every level of each channel once, in order."""
    side = int(LEVELS**0.5)
    levels = np.arange(LEVELS, dtype=np.uint8).reshape(1, side, side, 1).repeat(3, axis=3)
    return Normalize(*normalization)(mx.nd.array(levels, dtype="uint8"))


def _evaluate(graph: Graph, node: dict[str, Any], images: Any) -> Any:
    """What a node of the graph answers to normalised images: the images, if it is their own."""
    if node["name"] == INPUT:
        return images
    symbol = graph.symbol.get_internals()[f"{node['name']}_output"]
    inner = graph_of(symbol, {**graph.arguments, **graph.statistics})
    executor = symbol.bind(
        mx.cpu(), {**inner.arguments, INPUT: images}, aux_states=inner.statistics, grad_req="null"
    )
    return executor.forward(is_train=False)[0]


def _tabulate(values: Any, calibration: dict[str, str]) -> _Table:
    """Integers for the values of all levels, rounded to the nearest.

    MXNet's own operator rounds away from zero, so that all values grow.
    """
    low, high = (float(calibration[f"{end}_calib_range"]) for end in ("min", "max"))
    largest = max(-low, high)
    # As MXNet chooses: with a sign where there are negative values.
    kind, least, most = (np.int8, -127, 127) if low < 0 else (np.uint8, 0, 255)
    integers = np.rint(values.asnumpy().astype(np.float64) * (most / largest)).clip(least, most)
    limits = (-largest if low < 0 else 0.0, largest)
    return _Table(integers.reshape(3, LEVELS).astype(kind), limits)


def _behind(
    graph: Graph, description: dict[str, Any], beginning: _Beginning, limits: tuple[float, float]
) -> Graph:
    """The graph from its first integers on, which take the place of the images."""
    least, most = beginning.quantize, len(description["nodes"])
    # What the node that quantizes has given: integers, and the ends of their range.
    given = [(beginning.pixels, 0), (least, 0), (most, 0)]

    def redirected(source: int, output: int, *rest: int) -> list[int]:
        if source != beginning.quantize:
            return [source, output, *rest]
        return [*given[output], *rest]

    nodes = [
        {**node, "inputs": [redirected(*entry) for entry in node["inputs"]]}
        for node in description["nodes"]
    ]
    nodes[least], last = ({"op": "null", "name": name, "inputs": []} for name in RANGE)
    symbol = changed_symbol({**description, "nodes": [*nodes, last]})
    ends = {name: mx.nd.array([end]) for name, end in zip(RANGE, limits)}
    return graph_of(symbol, {**graph.arguments, **graph.statistics, **ends})
