"""Opens the learner of PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from fashionai.config import Config
from fashionai.datasets.prepared.samples import Samples
from fashionai.errors import ConfigError
from fashionai.frameworks.devices import Device
from fashionai.models.description import NetworkDescription
from fashionai.models.torch.forward import torch_device
from fashionai.training.learners.learner import framework_failure
from fashionai.training.torch.learner import TorchLearner
from fashionai.training.torch.processes import join_processes


def open_torch(
    config: Config,
    train: Samples,
    contexts: Sequence[Device],
    description: NetworkDescription,
    *,
    pixels_only: bool = False,
    batch_size: Optional[int] = None,
) -> TorchLearner:
    """Open a TorchLearner on one device; see fashionai.training.learners.opening.open_learner.

    ``description`` has the initial weights, frozen as the configuration says.
    """
    if len(contexts) > 1:
        raise ConfigError(
            f"PyTorch trains with one process for each device, this one has {len(contexts)}",
            "Use fashionai train --gpus, or torchrun",
        )
    try:
        processes = join_processes(torch_device(contexts[0]))
    except RuntimeError as error:  # a GPU has no memory left
        raise framework_failure(TorchLearner.framework, config, error) from error
    return TorchLearner(
        config,
        train,
        contexts,
        description,
        pixels_only=pixels_only,
        processes=processes,
        batch_size=batch_size,
    )
