"""The engine torch: PyTorch computes the traced network, on CPUs and GPUs."""

from __future__ import annotations

from collections.abc import Sequence

from fashionai.frameworks.devices import Device
from fashionai.models.description import NetworkDescription
from fashionai.models.torch.forward import Normalize, TorchForward, set_precision, torch_device
from fashionai.models.torch.network import GraphNetwork
from fashionai.runs import Run


def open_described(
    run: Run, contexts: Sequence[Device], description: NetworkDescription
) -> TorchForward:
    """Open a run's described network, with the weights that predict, on the first device.

    Raises ConfigError for an operator that PyTorch cannot compute.
    """
    set_precision("float32")
    device = torch_device(contexts[0])
    normalize = Normalize(*run.config.data.normalization).to(device)
    network = GraphNetwork(description).to(device).eval()
    return TorchForward(network, normalize, contexts[0], run.columns)
