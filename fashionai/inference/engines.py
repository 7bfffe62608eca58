"""What computes probabilities: a run's network behind one small interface."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from fashionai.models.forward import Forward
from fashionai.models.zoo import build_network, load_parameters
from fashionai.runs import RunFolder
from fashionai.tasks import Task


class Engine(Protocol):
    """Computes class probabilities of batches of views."""

    def probabilities(self, batches: Iterable[np.ndarray], batch_size: int) -> np.ndarray:
        """``(N, C) float64`` of ``(B, V, H, W, 3) uint8`` batches, the mean over views."""
        ...


def gluon_engine(run: RunFolder, task: Task, contexts: list[Any]) -> Engine:
    """The best weights of a run in the hybridized Gluon network.

    Raises RunError for a run without weights, WeightsError when they do not fit.
    """
    run.check_usable()
    config = run.read_config()
    network = build_network(config.model.name, len(task.classes), config.data.crop)
    load_parameters(network, run.best_parameters, contexts)
    return Forward(network, config.data.mean, config.data.std, contexts)
