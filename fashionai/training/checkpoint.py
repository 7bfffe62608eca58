"""The state of a run in one file, so that a rename makes it current all at once.

``last.states.npz`` holds the parameters, the optimizer's state, the loss scale
of float16 and, as JSON, where the run stands. Nothing in it is a pickle.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fashionai.errors import RunError
from fashionai.files import atomic_path
from fashionai.runtime import import_mxnet
from fashionai.training.gluon.learner import Learner

mx = import_mxnet()

PROGRESS, LOSS_SCALE = "progress", "loss_scale"

# What a state file that is damaged or of another network ends in.
UNREADABLE = (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, mx.base.MXNetError)


@dataclass
class Progress:
    """Where a run stands: epochs done, and how far into the next one it is.

    ``epoch`` and ``step`` count from 0; ``loss_sum``, ``correct`` and ``seen``
    are sums over the images of the epoch under way; ``history`` has a row for
    every finished epoch; ``basis`` names the data and the devices that a step
    stands for; ``test`` are scores of the test split, once they are known.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    seen: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    basis: dict[str, str] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)

    def begin_epoch(self, epoch: int) -> None:
        """Start counting anew."""
        self.epoch, self.step = epoch, 0
        self.loss_sum, self.correct, self.seen, self.seconds = 0.0, 0, 0, 0.0


def save_state(path: Path, learner: Learner, progress: Progress) -> None:
    """Write parameters, averages, states of optimizer and loss scale, and progress, atomically."""
    arrays = {PROGRESS: np.array(json.dumps(dataclasses.asdict(progress)))}
    if learner.average is not None:
        for name, values in learner.average.arrays().items():
            arrays[f"average/{name}"] = values
    for name, parameter in learner.network._collect_params_with_prefix().items():
        for device, values in enumerate(_device_copies(parameter)):
            arrays[f"parameters/{name}/{device}"] = values.asnumpy()
    for index, state in _updaters(learner.optimizer)[0].states.items():
        for position, values in enumerate(_arrays_of(state)):
            arrays[f"optimizer/{index}/{position}"] = values.asnumpy()
    if learner.loss_scale is not None:
        arrays[LOSS_SCALE] = learner.loss_scale.state()
    with atomic_path(path) as temporary:
        _write_arrays(temporary, arrays)


def _write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """An ``.npz`` as np.savez makes it, which leaves its archive open when the disk is full."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values, allow_pickle=False)


def load_state(path: Path, learner: Learner, basis: dict[str, str]) -> Progress:
    """Put back what save_state wrote; RunError when the file does not fit.

    ``learner`` must not have made a step. ``basis`` is what a step stands for
    now, and has to be what it was.
    """
    _connect_devices(learner.optimizer)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            progress = Progress(**json.loads(str(arrays[PROGRESS])))
            _check_same_basis(path, progress.basis, basis)
            for name, parameter in learner.network._collect_params_with_prefix().items():
                for device, values in enumerate(_device_copies(parameter)):
                    values[:] = arrays[f"parameters/{name}/{device}"]
                if parameter.grad_req != "null":
                    parameter.set_data(parameter.list_data()[0])
            if learner.average is not None:
                names = [name for name in arrays.files if name.startswith("average/")]
                learner.average.restore({name[len("average/") :]: arrays[name] for name in names})
            if learner.loss_scale is not None:
                learner.loss_scale.restore(arrays[LOSS_SCALE])
            _load_optimizer(arrays, learner.optimizer)
    except UNREADABLE as error:
        raise RunError(
            f"{path}: damaged or of another network, cannot resume from it ({error})",
            "Start anew with --overwrite or another --run",
        ) from None
    # Adam corrects its averages by the number of updates made.
    steps = learner.order.first_step(progress.epoch) + progress.step
    if learner.loss_scale is not None:
        steps -= learner.loss_scale.skipped
    learner.optimizer.optimizer.begin_num_update = steps
    learner.optimizer.optimizer.num_update = steps
    return progress


def _load_optimizer(arrays: Any, trainer: Any) -> None:
    """Fill every device's optimizer state; the counts of updates follow from the steps."""
    optimizer = trainer.optimizer
    saved = [name.split("/") for name in arrays.files if name.startswith("optimizer/")]
    for device, updater in enumerate(_updaters(trainer)):
        for index in sorted({int(index) for _, index, _ in saved}):
            weight = trainer._params[index].list_data()[device]
            state = optimizer.create_state_multi_precision(index, weight)
            for position, values in enumerate(_arrays_of(state)):
                values[:] = arrays[f"optimizer/{index}/{position}"]
            updater.states[index] = state
            updater.states_synced[index] = True


def _check_same_basis(path: Path, begun_on: dict[str, str], now: dict[str, str]) -> None:
    if begun_on.get("devices") != now["devices"]:
        raise RunError(
            f"{path.parent}: was begun on {begun_on.get('devices')}, resumed on {now['devices']}",
            "Give the same --device and --gpus",
        )
    if begun_on.get("data") != now["data"]:
        raise RunError(
            f"{path.parent}: the prepared folder has changed since the run was begun",
            "Prepare it as it was, or start a new run",
        )


def _connect_devices(trainer: Any) -> None:
    """Let the trainer copy device 0's parameters to the others now, not over restored ones."""
    if not trainer._kv_initialized:
        trainer._init_kvstore()
    if trainer._params_to_init:
        trainer._init_params()


def _device_copies(parameter: Any) -> list[Any]:
    """The arrays of a parameter that may differ between devices.

    Weights are equal everywhere after each update; statistics of batch
    normalisation (which have no gradient) are each device's own.
    """
    copies: list[Any] = parameter.list_data()
    return copies if parameter.grad_req == "null" else copies[:1]


def _updaters(trainer: Any) -> list[Any]:
    """One optimizer state a device. Private in Gluon, whose own save is a pickle."""
    updaters: list[Any] = trainer._updaters
    return updaters


def _arrays_of(state: Any) -> list[Any]:
    """The arrays in an optimizer's state, which is None, an array or nested tuples of them."""
    if state is None:
        return []
    if isinstance(state, (list, tuple)):
        return [array for part in state for array in _arrays_of(part)]
    return [state]
