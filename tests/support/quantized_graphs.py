"""Networks that MXNet quantizes in memory, and the outputs of their operators."""

from __future__ import annotations

from typing import Any

import numpy as np

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.graph import INPUT, Graph, as_block, fuse

mx = import_mxnet()


class Batches(mx.io.DataIter):  # type: ignore[misc, name-defined]
    """One batch of images that MXNet calibrates on."""

    def __init__(self, images: Any) -> None:
        super().__init__(len(images))
        self.images = [images]
        self.provide_data = [mx.io.DataDesc(INPUT, images.shape)]
        self.provide_label: list[Any] = []

    def next(self) -> Any:
        if not self.images:
            raise StopIteration
        return mx.io.DataBatch([self.images.pop()])


def fused(graph: Graph) -> Graph:
    """The graph whose operators have the names that those of a quantized one are derived from."""
    return fuse(graph, "MKLDNN_QUANTIZE")


def quantized_by_mxnet(graph: Graph, images: Any) -> Graph:
    """The graph in 8-bit integers, with the ranges of these images and no correction."""
    parts = mx.contrib.quantization.quantize_model_mkldnn(
        *graph,
        data_names=[INPUT],
        label_names=None,
        calib_mode="naive",
        calib_data=Batches(images),
        quantized_dtype="auto",
        excluded_op_names=["elemwise_mul"],
    )
    return Graph(*parts)


def graph_output(graph: Graph, images: Any) -> np.ndarray:
    """What a graph computes, exact or quantized."""
    output: np.ndarray = as_block(graph, [mx.cpu()])(images).asnumpy()
    return output


def output_of(graph: Graph, name: str, images: Any) -> np.ndarray:
    """The output of a convolution of the whole graph, as real numbers also where quantized."""
    internals = graph.symbol.get_internals()
    names = [each for each in internals.list_outputs() if each.startswith(f"{name}_output")]
    symbol = mx.sym.Group([internals[each] for each in names])
    known = {**graph.arguments, **graph.statistics, INPUT: images}
    arguments = {each: known[each] for each in symbol.list_arguments()}
    states = {each: known[each] for each in symbol.list_auxiliary_states()}
    values, *ends = symbol.bind(mx.cpu(), arguments, aux_states=states).forward()
    numbers: np.ndarray = values.asnumpy()
    if numbers.dtype == np.float32:
        return numbers
    widest = max(abs(end.asscalar()) for end in ends)
    return numbers * (widest / (255 if numbers.dtype == np.uint8 else 127))
