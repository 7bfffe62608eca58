"""The frozen layers before a network's output layer, computed once for each image."""

from __future__ import annotations

import numpy as np
from torch import nn

from fashionai.config import Config
from fashionai.frameworks.devices import Device
from fashionai.models.description import NetworkDescription
from fashionai.models.torch.forward import TorchForward
from fashionai.models.views import Pending
from fashionai.training.batches.features import IMAGES_PER_DEVICE, weights_hash
from fashionai.training.batches.inputs import why_no_features
from fashionai.training.torch.networks import TrainedNetwork


def why_not_constant(config: Config, description: NetworkDescription) -> str:
    """Why features cannot be kept although only the output layer is trained; "" if they can."""
    return why_no_features(config) or description.not_constant


class TorchBackbone:
    """Computes features with PyTorch; see fashionai.training.batches.features.Backbone."""

    batch_size = IMAGES_PER_DEVICE

    def __init__(self, network: TrainedNetwork, normalize: nn.Module, device: Device) -> None:
        assert network.backbone is not None
        assert network.description.features is not None
        self._network = network
        self.shape = network.description.features.shape
        self._forward = TorchForward(network.backbone, normalize, device, columns=[])

    def key(self) -> str:
        """The hash of all parameters outside the output layer."""
        output = self._network.description.output
        arrays = self._network.arrays().items()
        hashed = weights_hash((name, values) for name, values in arrays if name not in output)
        return f"torch {hashed}"

    def begin(self, pixels: np.ndarray) -> Pending:
        """Start to compute the features of images."""
        pending = self._forward.outputs(pixels)
        return lambda: pending().reshape(len(pixels), -1)

    def close(self) -> None:
        """Nothing to free."""
