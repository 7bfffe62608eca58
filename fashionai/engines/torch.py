"""The engine torch: PyTorch computes the traced network, on CPUs and GPUs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fashionai.frameworks.devices import Device
from fashionai.models.description import NetworkDescription
from fashionai.models.torch.forward import Normalize, TorchForward, set_precision, torch_device
from fashionai.models.torch.network import GraphNetwork
from fashionai.models.views import Pending
from fashionai.runs import Run


class TorchEngine:
    """A network on one or more devices, which compute equal parts of the views."""

    def __init__(self, forwards: Sequence[TorchForward]) -> None:
        self._forwards = list(forwards)

    def begin(self, pixels: np.ndarray) -> Pending:
        """Start to compute views ``(N, H, W, 3) uint8`` RGB, see Engine."""
        parts = np.array_split(pixels, len(self._forwards))
        begun = [each.begin(part) for each, part in zip(self._forwards, parts) if len(part)]
        return lambda: np.concatenate([pending() for pending in begun])


def open_described(
    run: Run, contexts: Sequence[Device], description: NetworkDescription
) -> TorchEngine:
    """Open a run's described network, with the weights that predict, on these devices.

    Raises ConfigError for an operator that PyTorch cannot compute.
    """
    set_precision("float32")
    forwards = []
    for context in contexts:
        device = torch_device(context)
        normalize = Normalize(*run.config.data.normalization).to(device)
        network = GraphNetwork(description).to(device).eval()
        forwards.append(TorchForward(network, normalize, context, run.columns))
    return TorchEngine(forwards)
