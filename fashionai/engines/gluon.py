"""The network of a run with the weights that predict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fashionai.models.zoo import build_network, load_parameters
from fashionai.runs import RunFolder
from fashionai.tasks import columns_of


def load_network(run: RunFolder, contexts: Sequence[Any]) -> Any:
    """``(B, 3, crop, crop) float32`` to logits of all the run's tasks, on these devices.

    Raises RunError for a run without weights, WeightsError when they do not fit.
    """
    run.check_usable()
    config, columns = run.read_config(), columns_of(run.read_tasks())
    network = build_network(config.model.name, columns[-1].stop, config.data.crop)
    load_parameters(network, run.weights_file, list(contexts))
    return network
