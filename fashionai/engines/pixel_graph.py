"""A run's network from pixels to probabilities as one graph that stands alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fashionai.engines.gluon import load_network
from fashionai.models.forward import Normalize
from fashionai.models.graph import Graph, trace
from fashionai.runs import Run
from fashionai.runtime import import_mxnet

mx = import_mxnet()
HybridBlock: Any = mx.gluon.HybridBlock

# The name of the graph's last operator.
OUTPUT = "probabilities"


class PixelNetwork(HybridBlock):
    """``(N, H, W, 3) uint8`` RGB to ``(N, C) float32``: each task's columns sum to 1."""

    def __init__(
        self, network: Any, mean: Sequence[float], std: Sequence[float], columns: Sequence[slice]
    ) -> None:
        # Without a prefix, so that OUTPUT is the name of the last operator.
        super().__init__(prefix="")
        self.normalize, self.network = Normalize(mean, std), network
        self._columns = list(columns)

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803 - Gluon's name
        """The probabilities of a batch."""
        logits = self.network(self.normalize(x))
        own = [F.slice_axis(logits, axis=1, begin=c.start, end=c.stop) for c in self._columns]
        return F.concat(*[F.softmax(part) for part in own], dim=1, name=OUTPUT)


def run_graph(run: Run) -> Graph:
    """A run's network with its weights: ``(N, crop, crop, 3) uint8`` RGB to probabilities.

    Raises WeightsError when the weights do not fit the network.
    """
    network = load_network(run, [mx.cpu()])
    return trace(PixelNetwork(network, *run.config.data.normalization, run.columns))
