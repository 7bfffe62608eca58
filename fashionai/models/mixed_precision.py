"""Mixed precision: networks that compute in float16 on GPUs and keep float32 parameters."""

from __future__ import annotations

from typing import Any

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.graph import INPUT, symbol_block

mx = import_mxnet()


def mixed_precision(network: Any) -> Any:
    """A block that computes an initialised network in float16, and shares its parameters.

    Input and output, ``(B, 3, H, W)`` and logits, are float32. The operator lists of
    MXNet's automatic mixed precision (mxnet.contrib.amp, after arXiv:1710.03740)
    determine the casts: convolutions and dense layers get float16 copies of their
    float32 weights. Batch normalisation gets float16 activations and keeps its
    parameters, statistics and sums in float32. Training the block trains the network.
    Layers must be frozen before this call; freezing them later does not affect the
    block.

    Only this graph has casts. amp.init would add them to every operator of the process
    permanently: predictions and later runs would compute in float16, too.
    """
    from mxnet.contrib import amp

    graph = amp.convert_symbol(network(mx.sym.var(INPUT)), "float16", data_names=[INPUT])
    output = mx.sym.amp_cast(graph, dtype="float32")
    return symbol_block(output, network.collect_params())
