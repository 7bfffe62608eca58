"""The engine int8: oneDNN computes a quantized network from 8-bit pixels, on the CPU.

A quantized network first normalises images in float32 and quantizes them to 8 bits. Pixels have
8 bits as well, so one table per channel with 256 entries replaces both steps.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import cv2
import numpy as np

from fashionai.engines.int8.files import load_quantized
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.forward import BatchForward, Forward, Normalize
from fashionai.models.graph import INPUT, Graph, as_block, changed_symbol, compute, graph_of
from fashionai.models.views import IMAGES_PER_THREAD
from fashionai.runs import Run

mx = import_mxnet()

QUANTIZE = "_contrib_quantize_v2"
# Inputs of the changed graph: the real numbers that the ends of the quantized range stand for.
RANGE_INPUTS = ("data_min", "data_max")
PIXEL_VALUES = 256


class _InputNodes(NamedTuple):
    """Indices of two nodes of a graph: its images, and the operator that quantizes them."""

    images: int
    quantize: int


class _QuantizationTable(NamedTuple):
    """Quantized values ``(3, 256)``, int8 or uint8, by channel and pixel value.

    ``limits`` are the real numbers that the ends of the quantized range stand for.
    """

    values: np.ndarray
    limits: tuple[float, float]


def open_int8(run: Run, contexts: Sequence[Any]) -> BatchForward:
    """Open the network that ``fashionai quantize`` left in a run, on CPU contexts.

    Raises RunError when the run is not quantized, or was quantized with other weights.
    """
    graph = load_quantized(run)
    return quantized_forward(graph, run.config.data.normalization, contexts, run.columns)


def quantized_forward(
    graph: Graph,
    normalization: tuple[Sequence[float], Sequence[float]],
    contexts: Sequence[Any],
    columns: Sequence[slice],
) -> BatchForward:
    """Compute a quantized graph of normalised images from pixels ``(N, H, W, 3) uint8`` RGB.

    ``normalization`` is the mean and the standard deviation of each channel, for pixels in
    [0, 1]. ``columns`` holds each task's columns in the output.
    """
    description = json.loads(graph.symbol.tojson())
    nodes = _find_input_nodes(description["nodes"])
    if nodes is None:
        return Forward(as_block(graph, contexts), *normalization, contexts, columns)
    quantize = description["nodes"][nodes.quantize]
    source = description["nodes"][quantize["inputs"][0][0]]
    exact = _output_of(graph, source, _all_pixel_values(normalization))
    table = _quantization_table(exact, quantize["attrs"])
    changed = _with_quantized_input(graph, description, nodes, table.limits)
    return QuantizedForward(as_block(changed, contexts), table.values, contexts, columns)


class QuantizedForward(BatchForward):
    """A network that takes quantized images, with the table ``(3, 256)`` that quantizes pixels."""

    rows_per_thread = IMAGES_PER_THREAD

    def __init__(
        self, network: Any, table: np.ndarray, contexts: Sequence[Any], columns: Sequence[slice]
    ) -> None:
        super().__init__(network, contexts, columns)
        self.table = table

    def split(self, array: np.ndarray) -> list[Any]:
        """Quantize pixels ``(N, H, W, 3) uint8`` and distribute them over the devices.

        Each part is ``(B, 3, H, W)`` and has the dtype of the table.
        """
        quantized = np.empty((len(array), 3, *array.shape[1:3]), np.uint8)
        for image, channels in zip(array, quantized):
            for plane, values, target in zip(cv2.split(image), self.table.view(np.uint8), channels):
                cv2.LUT(plane, values, target)
        return super().split(quantized.view(self.table.dtype))


def _find_input_nodes(nodes: Sequence[dict[str, Any]]) -> Optional[_InputNodes]:
    """Find the operator that quantizes the images.

    None unless each quantized value depends on a single pixel and channel: then only batch
    normalisation may lie between the images and that operator.
    """
    images = next(index for index, node in enumerate(nodes) if node["name"] == INPUT)
    current = images
    while True:
        readers = _readers(nodes, current)
        if len(readers) != 1 or nodes[readers[0]]["op"] not in ("BatchNorm", QUANTIZE):
            break
        (current,) = readers
    return _InputNodes(images, current) if nodes[current]["op"] == QUANTIZE else None


def _readers(nodes: Sequence[dict[str, Any]], wanted: int) -> list[int]:
    """Indices of the nodes that take an output of node ``wanted``."""
    return [
        index
        for index, node in enumerate(nodes)
        if any(source == wanted for source, *_ in node["inputs"])
    ]


def _all_pixel_values(normalization: tuple[Sequence[float], Sequence[float]]) -> Any:
    """A normalised image ``(1, 3, 16, 16)`` with the pixel values 0 to 255 of each channel."""
    side = int(PIXEL_VALUES**0.5)
    values = np.arange(PIXEL_VALUES, dtype=np.uint8).reshape(1, side, side, 1).repeat(3, axis=3)
    return Normalize(*normalization)(mx.nd.array(values, dtype="uint8"))


def _output_of(graph: Graph, node: dict[str, Any], images: Any) -> Any:
    """What a node of the graph computes from normalised images."""
    if node["name"] == INPUT:
        return images
    symbol = graph.symbol.get_internals()[f"{node['name']}_output"]
    return compute(symbol, {**graph.arguments, **graph.statistics, INPUT: images})[0]


def _quantization_table(exact: Any, calibration: dict[str, str]) -> _QuantizationTable:
    """Quantize the exact values ``(1, 3, 16, 16)`` of all pixel values, rounded to the nearest.

    MXNet's own operator rounds away from zero, which makes all values larger.
    """
    low, high = (float(calibration[f"{end}_calib_range"]) for end in ("min", "max"))
    largest = max(-low, high)
    # MXNet takes int8 where the calibrated range has negative values, and uint8 elsewhere.
    dtype, least, most = (np.int8, -127, 127) if low < 0 else (np.uint8, 0, 255)
    scaled = exact.asnumpy().astype(np.float64) * (most / largest)
    values = np.rint(scaled).clip(least, most).reshape(3, PIXEL_VALUES).astype(dtype)
    return _QuantizationTable(values, (-largest if low < 0 else 0.0, largest))


def _with_quantized_input(
    graph: Graph, description: dict[str, Any], nodes: _InputNodes, limits: tuple[float, float]
) -> Graph:
    """The graph with quantized images as its input, instead of normalised ones.

    The quantizing operator has three outputs: the quantized images and the two ends of their
    range. Variables take the place of all three.
    """
    # The operator's own node becomes the variable of one end: the other nodes keep their numbers.
    low, high = nodes.quantize, len(description["nodes"])
    variables = [(nodes.images, 0), (low, 0), (high, 0)]

    def redirected(source: int, output: int, *rest: int) -> list[int]:
        if source != nodes.quantize:
            return [source, output, *rest]
        return [*variables[output], *rest]

    changed = [
        {**node, "inputs": [redirected(*entry) for entry in node["inputs"]]}
        for node in description["nodes"]
    ]
    low_name, high_name = RANGE_INPUTS
    changed[low] = {"op": "null", "name": low_name, "inputs": []}
    changed.append({"op": "null", "name": high_name, "inputs": []})
    symbol = changed_symbol({**description, "nodes": changed})
    ends = {name: mx.nd.array([end]) for name, end in zip(RANGE_INPUTS, limits)}
    return graph_of(symbol, {**graph.arguments, **graph.statistics, **ends})
