"""The engine gluon: MXNet computes the hybridized network, on CPUs and GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fashionai.models.forward import Forward
from fashionai.models.zoo import build_network, load_parameters
from fashionai.runs import Run


def load_network(run: Run, contexts: Sequence[Any]) -> Any:
    """Load a run's network onto devices, with the weights that predict.

    The network maps normalised images ``(B, 3, crop, crop) float32`` to the logits of all tasks
    ``(B, C) float32``. Raises WeightsError when the weights do not fit the network, and RunError
    when they are not those that the run recorded.
    """
    run.check_weights()
    network = build_network(run.config.model.name, run.columns[-1].stop, run.config.data.crop)
    load_parameters(network, run.weights_file, list(contexts))
    return network


def open_gluon(run: Run, contexts: Sequence[Any]) -> Forward:
    """Open a run's network on these devices. Errors as for load_network."""
    network = load_network(run, contexts)
    return Forward(network, *run.config.data.normalization, contexts, run.columns)
