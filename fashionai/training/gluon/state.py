"""The parameters of a Gluon network and the state of its optimizer as arrays, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from fashionai.files.formats.array_archives import ArrayArchive
from fashionai.training.records.state_arrays import OPTIMIZER, PARAMETERS


def state_arrays(network: Any, trainer: Any) -> dict[str, np.ndarray]:
    """``parameters/NAME/DEVICE`` and ``optimizer/INDEX/POSITION``; see Learner.state."""
    arrays = {}
    for name, parameter in network._collect_params_with_prefix().items():
        for device, values in enumerate(_device_copies(parameter)):
            arrays[f"{PARAMETERS}{name}/{device}"] = values.asnumpy()
    for index, state in _updaters(trainer)[0].states.items():
        for position, values in enumerate(_arrays_of(state)):
            arrays[f"{OPTIMIZER}{index}/{position}"] = values.asnumpy()
    return arrays


def restore_state(network: Any, trainer: Any, archive: ArrayArchive, updates: int) -> set[str]:
    """Restore the result of state_arrays after a number of updates; returns the names.

    The network must not have been trained yet. Adam's bias correction depends on the number of
    updates.
    """
    read = restore_parameters(network, trainer, archive)
    read |= _restore_optimizer(archive, trainer, updates)
    trainer.optimizer.begin_num_update = updates
    trainer.optimizer.num_update = updates
    return read


def restore_parameters(network: Any, trainer: Any, archive: ArrayArchive) -> set[str]:
    """Restore the parameters of the result of state_arrays; returns the names."""
    _connect_devices(trainer)
    read = set()
    for name, parameter in network._collect_params_with_prefix().items():
        for device, values in enumerate(_device_copies(parameter)):
            read.add(_fill(values, archive, f"{PARAMETERS}{name}/{device}"))
        if parameter.grad_req != "null":
            parameter.set_data(parameter.list_data()[0])
    return read


def _fill(values: Any, archive: ArrayArchive, name: str) -> str:
    """Copy an array of the file into one of MXNet of the same shape and type; return its name."""
    values[:] = archive.read(name, values.shape, np.dtype(values.dtype))
    return name


def _restore_optimizer(archive: ArrayArchive, trainer: Any, updates: int) -> set[str]:
    """Restore the optimizer state of every device, without its counts of updates.

    Before the first update there is none.
    """
    read: set[str] = set()
    if not updates and not any(name.startswith(OPTIMIZER) for name in archive.names()):
        return read
    for device, updater in enumerate(_updaters(trainer)):
        for index, parameter in enumerate(trainer._params):
            if parameter.grad_req == "null":
                continue
            weight = parameter.list_data()[device]
            state = trainer.optimizer.create_state_multi_precision(index, weight)
            for position, values in enumerate(_arrays_of(state)):
                read.add(_fill(values, archive, f"{OPTIMIZER}{index}/{position}"))
            updater.states[index] = state
            updater.states_synced[index] = True
    return read


def _connect_devices(trainer: Any) -> None:
    """Let the trainer copy device 0's parameters to the others now, before they are restored."""
    if not trainer._kv_initialized:
        trainer._init_kvstore()
    if trainer._params_to_init:
        trainer._init_params()


def _device_copies(parameter: Any) -> list[Any]:
    """The arrays of a parameter that may differ between devices.

    Weights are equal on all devices after each update. Running statistics of batch
    normalisation, which have no gradient, differ between devices.
    """
    copies: list[Any] = parameter.list_data()
    return copies if parameter.grad_req == "null" else copies[:1]


def _updaters(trainer: Any) -> list[Any]:
    """One optimizer state per device. The attribute is private: Gluon's own save is a pickle."""
    updaters: list[Any] = trainer._updaters
    return updaters


def _arrays_of(state: Any) -> list[Any]:
    """The arrays in an optimizer's state, which is None, an array or nested tuples of them."""
    if state is None:
        return []
    if isinstance(state, (list, tuple)):
        return [array for part in state for array in _arrays_of(part)]
    return [state]
