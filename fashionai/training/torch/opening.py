"""Opens the learner of PyTorch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Optional

from fashionai.config import Config
from fashionai.datasets.prepared.samples import Samples, data_hash
from fashionai.errors import ConfigError
from fashionai.frameworks.devices import Device
from fashionai.models.description import NetworkDescription
from fashionai.models.torch.forward import torch_device
from fashionai.training.learners.learner import framework_failure
from fashionai.training.learners.opening import FirstHasFinished, what_must_be_same
from fashionai.training.torch.learner import TorchLearner
from fashionai.training.torch.processes import is_of_connection, join_processes, lost_process_error

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
    FirstHasFinished where that run is finished, see tell_finished, and ConfigError when the
    processes of a training do not find each other or differ.
    """
    if len(contexts) > 1:
        raise ConfigError(
            f"PyTorch trains with one process for each device, this one has {len(contexts)}",
            "Use fashionai train --gpus, or torchrun",
        )
    with _errors_in_words(config):
        processes = join_processes(torch_device(contexts[0]))
        size = processes.content_of_first(str(batch_size).encode() if batch_size else None)
        if size == FINISHED:
            raise FirstHasFinished
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
        batch_size=None if size is None else int(size),
    )


def tell_finished(config: Config, contexts: Sequence[Device]) -> None:
    """Let processes that do not see the finished run of the first one end as well."""
    with _errors_in_words(config):
        join_processes(torch_device(contexts[0])).content_of_first(FINISHED)


@contextlib.contextmanager
def _errors_in_words(config: Config) -> Iterator[None]:
    """Turn errors into one line: of a GPU without free memory, and of processes that have ended."""
    try:
        yield
    except RuntimeError as error:
        if is_of_connection(error):
            raise lost_process_error(error) from error
        raise framework_failure(TorchLearner.framework, config, error) from error
