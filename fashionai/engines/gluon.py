"""The network of a run with the weights that predict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fashionai.models.zoo import build_network, load_parameters
from fashionai.runs import Run


def load_network(run: Run, contexts: Sequence[Any]) -> Any:
    """``(B, 3, crop, crop) float32`` to logits of all the run's tasks, on these devices.

    Raises WeightsError when the weights do not fit the network.
    """
    network = build_network(run.config.model.name, run.columns[-1].stop, run.config.data.crop)
    load_parameters(network, run.weights_file, list(contexts))
    return network
