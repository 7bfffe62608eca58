"""A run's network from pixels to probabilities as one graph: it normalises and has a softmax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fashionai.engines.gluon import load_network
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.forward import Normalize
from fashionai.models.graph import Graph, trace
from fashionai.runs import Run

mx = import_mxnet()
HybridBlock: Any = mx.gluon.HybridBlock

# The name of the graph's output.
OUTPUT = "probabilities"


class PixelNetwork(HybridBlock):
    """Maps pixels ``(N, H, W, 3) uint8`` RGB to probabilities ``(N, C) float32``.

    The columns of each task sum to 1.
    """

    def __init__(
        self, network: Any, mean: Sequence[float], std: Sequence[float], columns: Sequence[slice]
    ) -> None:
        # A prefix would become part of the name of the last operator, which has to be OUTPUT.
        super().__init__(prefix="")
        self.normalize, self.network = Normalize(mean, std), network
        self._columns = list(columns)

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803 - Gluon's name
        """Normalise a batch, compute the network, and apply one softmax per task."""
        logits = self.network(self.normalize(x))
        by_task = [F.slice_axis(logits, axis=1, begin=c.start, end=c.stop) for c in self._columns]
        return F.concat(*[F.softmax(part) for part in by_task], dim=1, name=OUTPUT)


def pixel_graph(run: Run) -> Graph:
    """Trace a run's network with its weights as a PixelNetwork.

    Raises WeightsError when the weights do not fit the network.
    """
    network = load_network(run, [mx.cpu()])
    return trace(PixelNetwork(network, *run.config.data.normalization, run.columns))
