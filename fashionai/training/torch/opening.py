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
from fashionai.training.learners.opening import FirstHasFinished
from fashionai.training.torch.learner import TorchLearner
from fashionai.training.torch.processes import Processes, join_processes

# What the first process tells the others in place of a batch size.
FINISHED = b"finished"


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

    ``description`` has the initial weights, frozen as the configuration says. The first process's
    ``batch_size`` decides: others may not see the folder of a run that is resumed. Raises
    FirstHasFinished where that run is finished, see tell_finished.
    """
    if len(contexts) > 1:
        raise ConfigError(
            f"PyTorch trains with one process for each device, this one has {len(contexts)}",
            "Use fashionai train --gpus, or torchrun",
        )
    processes = _join(config, contexts)
    size = processes.content_of_first(str(batch_size).encode() if batch_size else None)
    if size == FINISHED:
        raise FirstHasFinished
    return TorchLearner(
        config,
        train,
        contexts,
        description,
        pixels_only=pixels_only,
        processes=processes,
        batch_size=None if size is None else int(size),
    )


def tell_finished(config: Config, contexts: Sequence[Device]) -> None:
    """Let processes that do not see the finished run of the first one end as well."""
    _join(config, contexts).content_of_first(FINISHED)


def _join(config: Config, contexts: Sequence[Device]) -> Processes:
    try:
        return join_processes(torch_device(contexts[0]))
    except RuntimeError as error:  # a GPU has no memory left
        raise framework_failure(TorchLearner.framework, config, error) from error
