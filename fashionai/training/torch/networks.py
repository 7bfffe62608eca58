"""The network of a training: as a whole, or its frozen layers and its output layer apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor

from fashionai.models.description import NetworkDescription
from fashionai.models.torch.layers import SharedSums
from fashionai.models.torch.network import GraphNetwork


class TrainedNetwork:
    """The modules of a described network on a device.

    ``trained`` is the module that steps compute: the whole network, or with ``head_only`` its
    output layer, whose input ``backbone`` computes.
    """

    def __init__(
        self,
        description: NetworkDescription,
        device: torch.device,
        head_only: bool,
        shared: Optional[SharedSums] = None,
    ) -> None:
        self.description, self.device = description, device
        features = description.features if head_only else None
        entry = None if features is None else features.entry
        self.trained = self._place(GraphNetwork(description, begin=entry, shared=shared))
        self.backbone = None
        if entry is not None:
            self.backbone = self._place(GraphNetwork(description, end=entry))
            self.backbone.eval()
        used = self.tensors
        parameters = description.parameters.items()
        self._unused = {name: values for name, values in parameters if name not in used}

    def _place(self, network: GraphNetwork) -> GraphNetwork:
        placed: Any = network.to(self.device)
        # Layouts are changed in place: the network's tables refer to its tensors.
        placed.to(memory_format=torch.channels_last)
        return network

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All parameters and running statistics by name, in the order of parameter files."""
        found = self.trained.named() | (self.backbone.named() if self.backbone else {})
        return {name: found[name] for name in self.description.parameters if name in found}

    def arrays(self) -> dict[str, np.ndarray]:
        """Copies of all parameters; those that no layer uses have their initial values."""
        found = self.trained.arrays() | (self.backbone.arrays() if self.backbone else {})
        found |= self._unused
        return {name: found[name] for name in self.description.parameters}

    def set_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Set all parameters. Raises KeyError or ValueError for those of another network."""
        for module in (self.trained, self.backbone):
            if module is not None:
                module.set_arrays(arrays)
        self._unused = {name: np.array(arrays[name]) for name in self._unused}

    @property
    def learning(self) -> dict[str, Tensor]:
        """The parameters that are trained, by name in the order of the optimizer."""
        named = self.trained.named()
        return {name: named[name] for name in self.description.rates if name in named}

    @property
    def moving(self) -> dict[str, Tensor]:
        """The parameters that training changes, with running statistics."""
        named = self.tensors
        return {name: named[name] for name in self.description.moving if name in named}

    @property
    def statistics(self) -> dict[str, Tensor]:
        """The running statistics that training changes."""
        return {n: t for n, t in self.moving.items() if n not in self.description.rates}
