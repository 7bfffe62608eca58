"""The state of a run in one file, so that one rename replaces all of it at once.

``last.states.npz`` holds the parameters, the optimizer's state, the averaged weights,
the loss scale of float16 and, as JSON, the progress of the run. It holds no pickle.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fashionai.errors import RunError, shown
from fashionai.files import atomic_path
from fashionai.files.array_archives import ArrayArchive, DamagedArchiveError
from fashionai.files.json_files import parse_json
from fashionai.runtime import import_mxnet
from fashionai.training.gluon.learner import Learner

mx = import_mxnet()

# Names of arrays in the file. The other names are parameters/NAME/DEVICE, optimizer/INDEX/POSITION
# and average/NAME.
PROGRESS, LOSS_SCALE, AVERAGE = "progress", "loss_scale", "average/"
# The key of Progress.resume_key in the JSON.
STORED_RESUME_KEY = "basis"

# Keys that states of earlier versions lack.
LATER_KEYS = ("test", STORED_RESUME_KEY)
# Larger counts are damage, and more than a float holds.
LARGEST_COUNT = 2**53


@dataclass
class Progress:
    """How far a run is: the finished epochs, and the steps of the current epoch.

    ``epoch`` and ``step`` count from 0. ``loss_sum``, ``correct`` and ``seen`` are
    sums over the images of the current epoch; ``seconds`` is the time that it took so
    far. ``history`` has one row per finished epoch. ``resume_key`` identifies the data
    and the devices; a run resumes only where they are the same. ``test`` holds the
    scores of the test split, once they are known.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    seen: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    resume_key: dict[str, str] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)

    def begin_epoch(self, epoch: int) -> None:
        """Set the epoch, and the sums over its images to zero."""
        self.epoch, self.step = epoch, 0
        self.loss_sum, self.correct, self.seen, self.seconds = 0.0, 0, 0, 0.0

    def to_json(self) -> str:
        """All fields as JSON."""
        fields = dataclasses.asdict(self)
        fields[STORED_RESUME_KEY] = fields.pop("resume_key")
        return json.dumps(fields)

    @classmethod
    def from_json(cls, text: str) -> Progress:
        """The inverse of to_json; ValueError for any other text."""
        fields = parse_json(text)
        _check_progress(fields)
        return cls(resume_key=fields.pop(STORED_RESUME_KEY, {}), **fields)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= LARGEST_COUNT


def _are_numbers(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))


# What each key of the JSON holds.
_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("epoch", "step", "correct", "seen"), _is_count),
    **dict.fromkeys(("loss_sum", "seconds"), _is_number),
    "history": lambda rows: isinstance(rows, list) and all(map(_are_numbers, rows)),
    "test": _are_numbers,
    STORED_RESUME_KEY: lambda key: isinstance(key, dict),
}


def _check_progress(fields: Any) -> None:
    """Raise ValueError unless the JSON of a progress has all keys, with values of their types."""
    if not isinstance(fields, dict):
        raise ValueError("the progress has no keys")
    missing = _CHECKS.keys() - fields.keys() - set(LATER_KEYS)
    wrong = [key for key, value in fields.items() if key not in _CHECKS or not _CHECKS[key](value)]
    if missing or wrong:
        keys = ", ".join(map(shown, [*sorted(missing), *wrong][:12]))
        raise ValueError(f"the progress has wrong or missing keys: {keys}")


def save_state(path: Path, learner: Learner, progress: Progress) -> None:
    """Write the learner's parameters, averages, optimizer state and loss scale, and the progress.

    The file replaces the old one atomically.
    """
    arrays = {PROGRESS: np.array(progress.to_json())}
    if learner.average is not None:
        for name, values in learner.average.arrays().items():
            arrays[f"{AVERAGE}{name}"] = values
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
    """Write an ``.npz`` file as np.savez does, which leaves its file open when the disk is full."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values, allow_pickle=False)


def load_state(path: Path, learner: Learner, resume_key: dict[str, str]) -> Progress:
    """Restore what save_state wrote into ``learner``, and return the progress.

    ``learner`` must not have made a step yet. Raises RunError when the file is damaged,
    belongs to another network, or was saved with another ``resume_key``.
    """
    _connect_devices(learner.optimizer)
    try:
        with ArrayArchive(path) as archive:
            progress = Progress.from_json(archive.read_text(PROGRESS))
            _check_same_key(path, progress.resume_key, resume_key)
            updates = _count_updates(learner, progress, archive)
            read = _load_parameters(archive, learner.network)
            read |= _load_average(archive, learner)
            read |= _load_optimizer(archive, learner.optimizer, updates)
            left = archive.names() - read - {PROGRESS, LOSS_SCALE}
            if left:
                raise DamagedArchiveError(f"{min(left)} is of another training")
    except (OSError, ValueError, mx.base.MXNetError) as error:
        raise RunError(
            f"{path}: damaged or of another network, cannot resume from it ({error})",
            "Start anew with --overwrite or another --run",
        ) from None
    return progress


def _fill(values: Any, archive: ArrayArchive, name: str) -> str:
    """Copy an array of the file into one of MXNet of the same shape and type; return its name."""
    values[:] = archive.read(name, values.shape, np.dtype(values.dtype))
    return name


def _load_parameters(archive: ArrayArchive, network: Any) -> set[str]:
    read = set()
    for name, parameter in network._collect_params_with_prefix().items():
        for device, values in enumerate(_device_copies(parameter)):
            read.add(_fill(values, archive, f"parameters/{name}/{device}"))
        if parameter.grad_req != "null":
            parameter.set_data(parameter.list_data()[0])
    return read


def _load_average(archive: ArrayArchive, learner: Learner) -> set[str]:
    """Restore the averaged weights. Those of a file are left where the training has none."""
    names = {name for name in archive.names() if name.startswith(AVERAGE)}
    if learner.average is not None:
        learner.average.restore(
            {
                name: archive.read(AVERAGE + name, values.shape, values.dtype)
                for name, values in learner.average.arrays().items()
            }
        )
    return names


def _load_optimizer(archive: ArrayArchive, trainer: Any, updates: int) -> set[str]:
    """Restore the optimizer state of every device, without its counts of updates.

    Before the first update there is none.
    """
    read: set[str] = set()
    if not updates and not any(name.startswith("optimizer/") for name in archive.names()):
        return read
    for device, updater in enumerate(_updaters(trainer)):
        for index, parameter in enumerate(trainer._params):
            if parameter.grad_req == "null":
                continue
            weight = parameter.list_data()[device]
            state = trainer.optimizer.create_state_multi_precision(index, weight)
            for position, values in enumerate(_arrays_of(state)):
                read.add(_fill(values, archive, f"optimizer/{index}/{position}"))
            updater.states[index] = state
            updater.states_synced[index] = True
    return read


def _count_updates(learner: Learner, progress: Progress, archive: ArrayArchive) -> int:
    """Tell the optimizer how many updates were made: Adam's bias correction depends on it."""
    updates = learner.batch_plan.first_step(progress.epoch) + progress.step
    if learner.loss_scale is not None:
        learner.loss_scale.restore(archive.read(LOSS_SCALE, (3,), np.float64))
        updates -= learner.loss_scale.skipped
    learner.optimizer.optimizer.begin_num_update = updates
    learner.optimizer.optimizer.num_update = updates
    return updates


def _check_same_key(path: Path, saved: dict[str, str], current: dict[str, str]) -> None:
    if saved.get("devices") != current["devices"]:
        raise RunError(
            f"{path.parent}: was begun on {saved.get('devices')}, resumed on {current['devices']}",
            "Give the same --device and --gpus",
        )
    if saved.get("data") != current["data"]:
        raise RunError(
            f"{path.parent}: the prepared folder has changed",
            "Prepare it as it was, or start a new run",
        )


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
