"""Opens the learner of PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from fashionai.config import Config
from fashionai.datasets.prepared.samples import Samples, data_hash
from fashionai.errors import ConfigError
from fashionai.frameworks.devices import Device
from fashionai.models.description import NetworkDescription
from fashionai.models.torch.forward import torch_device
from fashionai.training.learners.opening import what_must_be_same
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

    ``description`` has the initial weights, frozen as the configuration says. Raises ConfigError
    when the processes of a training do not find each other or differ.
    """
    if len(contexts) > 1:
        raise ConfigError(
            f"PyTorch trains with one process for each device, this one has {len(contexts)}",
            "Use fashionai train --gpus, or torchrun",
        )
    processes = join_processes(torch_device(contexts[0]))
    if not processes.is_alone:
        # Before they exchange the weights of networks that may differ.
        processes.check_same(what_must_be_same(config, {"data": data_hash(config)}))
    return TorchLearner(
        config,
        train,
        contexts,
        description,
        pixels_only=pixels_only,
        processes=processes,
        batch_size=batch_size,
    )
