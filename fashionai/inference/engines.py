"""What computes probabilities: a run's network behind one small interface."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from fashionai.models.forward import Forward
from fashionai.models.zoo import build_network, load_parameters
from fashionai.runs import RunFolder
from fashionai.tasks import columns_of


class Engine(Protocol):
    """Computes class probabilities of batches of views."""

    def probabilities(self, batches: Iterable[np.ndarray], batch_size: int) -> np.ndarray:
        """``(N, C) float64`` of ``(B, V, H, W, 3) uint8`` batches, the mean over views."""
        ...


def gluon_engine(run: RunFolder, contexts: list[Any]) -> Engine:
    """The weights of a run in the hybridized Gluon network.

    Raises RunError for a run without weights, WeightsError when they do not fit.
    """
    run.check_usable()
    config, columns = run.read_config(), columns_of(run.read_tasks())
    network = build_network(config.model.name, columns[-1].stop, config.data.crop)
    load_parameters(network, run.weights_file, contexts)
    return Forward(network, *config.data.normalization, contexts, columns)
