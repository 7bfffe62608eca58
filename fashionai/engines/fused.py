"""The engine fused: oneDNN computes batch normalisation and activations inside convolutions.

Sums of two feature maps, as at the end of a residual block, are computed there as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fashionai.engines.gluon import load_network
from fashionai.errors import WeightsError, first_line
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.forward import Forward
from fashionai.models.graph import as_block, fuse, trace
from fashionai.runs import Run

mx = import_mxnet()


def open_fused(run: Run, contexts: Sequence[Any]) -> Forward:
    """Fuse a run's network for CPU contexts.

    Raises WeightsError when oneDNN cannot fuse the network, and errors of load_network.
    """
    config, network = run.config, load_network(run, contexts)
    try:
        fused = as_block(fuse(trace(network)), contexts)
    except mx.base.MXNetError as error:
        raise WeightsError(
            f"{config.model.name}: oneDNN cannot fuse this network ({first_line(error)})"
        ) from None
    return Forward(fused, *config.data.normalization, contexts, run.columns)
