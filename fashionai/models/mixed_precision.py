"""Networks that compute in float16 on GPUs, over parameters that stay float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fashionai.errors import ConfigError
from fashionai.models.graph import INPUT, symbol_block
from fashionai.runtime import import_mxnet

mx = import_mxnet()


def check_precision(precision: str, contexts: Sequence[Any]) -> None:
    """ConfigError for float16 on the CPU: MXNet has no float16 products there."""
    if precision == "float16" and contexts[0].device_type != "gpu":
        raise ConfigError(
            f"precision: float16 needs a GPU, found {contexts[0]}",
            "Give precision=float32, or a GPU with --device gpu",
        )


def mixed_precision(network: Any) -> Any:
    """A block that computes an initialised network in float16, with the network's own parameters.

    ``(B, 3, H, W) float32`` to its output in float32. Casts are where the lists of
    MXNet's automatic mixed precision (mxnet.contrib.amp, after arXiv:1710.03740)
    have them: convolutions and dense layers get float16 copies of their float32
    weights; batch normalisation takes float16 maps and keeps its parameters,
    statistics and sums in float32. What is learnt through the block is learnt by
    the network. Layers must be frozen before: the block does not see it later.

    The casts are in this one graph. amp.init would put them into every operator of
    the process, for good: predictions and later runs would be float16 as well.
    """
    from mxnet.contrib import amp

    graph = amp.convert_symbol(network(mx.sym.var(INPUT)), "float16", data_names=[INPUT])
    output = mx.sym.amp_cast(graph, dtype="float32")
    return symbol_block(output, network.collect_params())
