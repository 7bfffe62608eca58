"""States of trainings: the archive, its arrays and the progress in it."""

from __future__ import annotations

import io
import json
import random
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from commands import attempt
from damage import damaged, odd_json

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.metrics import SCORE_NAMES
from fashionai.training.gluon.ema import WeightAverage
from fashionai.training.gluon.learner import GluonLearner
from fashionai.training.records.checkpoint import load_state
from fashionai.training.records.history import COLUMNS, PREDICTED_CLASSES, scores_in_row
from fashionai.training.steps.loss_scale import LossScale

mx = import_mxnet()

KEY = {"devices": "1 cpu", "data": "0f"}
SHAPES = {"0.weight": (4, 3), "0.bias": (4,), "1.gamma": (4,), "1.beta": (4,)}
STATISTICS = {"1.running_mean": (4,), "1.running_var": (4,)}
# By Gluon's order of parameters, which is that of their names. Statistics have no state.
INDICES = {"1.beta": 0, "1.gamma": 1, "0.bias": 4, "0.weight": 5}
STATES = {"sgd": 1, "adam": 2}
ROW = dict.fromkeys([*COLUMNS, f"val_{PREDICTED_CLASSES}"], 1.0)
PROGRESS = {
    **{"epoch": 1, "step": 5, "loss_sum": 40.5, "correct": 21, "seen": 40, "seconds": 0.25},
    **{"history": [ROW | scores_in_row("val", dict.fromkeys(SCORE_NAMES, 0.75))], "test": {}},
    "resume_key": KEY,
}


class Case(NamedTuple):
    """A file, the settings of the training, and whether the file is sound."""

    content: bytes
    optimizer: str
    averaged: bool
    scaled: bool
    sound: bool


def make(rng: random.Random) -> Case:
    """A state of a small network; in most cases its bytes, an array or the progress are odd."""
    optimizer, averaged, scaled = rng.choice(list(STATES)), rng.random() < 0.5, rng.random() < 0.5
    arrays = {f"parameters/{name}/0": _array(shape, rng) for name, shape in SHAPES.items()}
    arrays |= {f"parameters/{name}/0": _array(shape, rng) for name, shape in STATISTICS.items()}
    for name, index in INDICES.items():
        for position in range(STATES[optimizer]):
            arrays[f"optimizer/{index}/{position}"] = _array(SHAPES[name], rng)
    if averaged:
        named = {**SHAPES, **STATISTICS}.items()
        arrays |= {f"average/{name}": _array(shape, rng) for name, shape in named}
    if scaled:
        arrays["loss_scale"] = np.array([1024.0, 3, 2])
    members = {name: _npy(array) for name, array in arrays.items()}
    members["progress"] = _npy(np.array(json.dumps(PROGRESS)))
    kind = rng.choice(["sound", "sound", "sound", "bytes", "bytes", "array", "array", "progress"])
    if kind == "array":
        name = rng.choice(list(members))
        members[name] = _odd_member(members[name], rng)
        if rng.random() < 0.3:
            members[rng.choice([f"{name}x", "optimizer/9/0", "optimizer/x"])] = members.pop(name)
    if kind == "progress":
        text = odd_json(json.loads(json.dumps(PROGRESS)), rng)
        members["progress"] = _npy(np.array(text.replace("\0", "")))
    method = zipfile.ZIP_DEFLATED if kind == "array" and rng.random() < 0.1 else zipfile.ZIP_STORED
    content = _archive(members, method)
    content = damaged(content, rng) if kind == "bytes" else content
    return Case(content, optimizer, averaged, scaled, kind == "sound")


def check(case: Case, folder: Path) -> str:
    """Resume from the file; all values are those of a reading by NumPy alone."""
    (folder / "last.states.npz").write_bytes(case.content)
    learner = _learner(case)
    read = attempt(load_state, folder / "last.states.npz", learner, KEY)
    assert not (case.sound and read.word == "refused"), f"a sound state was refused: {read.result}"
    if read.word == "accepted":
        found = _values(learner)
        with np.load(folder / "last.states.npz") as stored:
            progress = json.loads(str(stored["progress"]))
            assert found.keys() == set(stored.files) - {"progress"}, "arrays that were not used"
            for name, values in found.items():
                assert values.shape == stored[name].shape, name
                assert values.dtype == stored[name].dtype, name
                assert values.tobytes() == stored[name].tobytes(), name
        known = json.loads(read.result.to_json())
        assert json.dumps(known) == json.dumps({**known, **progress}), "another progress"
        assert known.keys() - progress.keys() <= {"test"}, "a part of the progress was made up"
        assert learner.optimizer.optimizer.num_update == 10 * known["epoch"] + known["step"] - (
            learner.loss_scale.skipped if case.scaled else 0
        )
    return read.word


def _learner(case: Case) -> Any:
    """What load_state needs of a learner, with a network of two layers."""
    network = mx.gluon.nn.HybridSequential()
    network.add(mx.gluon.nn.Dense(4, in_units=3), mx.gluon.nn.BatchNorm(in_channels=4))
    network.initialize()
    options = {"momentum": 0.9} if case.optimizer == "sgd" else {}
    learner: Any = GluonLearner.__new__(GluonLearner)
    vars(learner).update(
        network=network,
        optimizer=mx.gluon.Trainer(
            network.collect_params(), case.optimizer, options, update_on_kvstore=False
        ),
        average=WeightAverage(network, 0.9) if case.averaged else None,
        loss_scale=LossScale() if case.scaled else None,
        batch_plan=SimpleNamespace(first_step=lambda epoch: 10 * epoch),
    )
    return learner


def _values(learner: Any) -> dict[str, np.ndarray]:
    """All arrays of a learner by their names in the file."""
    found = {
        f"parameters/{name}/0": parameter.list_data()[0].asnumpy()
        for name, parameter in learner.network._collect_params_with_prefix().items()
    }
    for index, state in learner.optimizer._updaters[0].states.items():
        for position, values in enumerate(state if isinstance(state, tuple) else [state]):
            found[f"optimizer/{index}/{position}"] = values.asnumpy()
    if learner.average is not None:
        found |= {f"average/{name}": each for name, each in learner.average.arrays().items()}
    if learner.loss_scale is not None:
        found["loss_scale"] = learner.loss_scale.state()
    return found


def _array(shape: tuple[int, ...], rng: random.Random) -> np.ndarray:
    return np.array([rng.random() for _ in range(int(np.prod(shape)))], "float32").reshape(shape)


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _odd_member(member: bytes, rng: random.Random) -> bytes:
    """An array of another kind, or a header of what is not there."""
    array = np.load(io.BytesIO(member))
    others = [array.reshape(-1)[:1], array[None], np.zeros(3), np.zeros((4, 3)), np.array("text")]
    others += [np.zeros(0, "float32"), np.array(3), np.array(["a", "b"]), np.zeros(2, "complex64")]
    if array.dtype.kind == "f":
        others += [array.astype("float64"), array.astype("int64"), np.asfortranarray(array)]
        others += [array.astype(">f4"), np.full_like(array, np.nan), np.full_like(array, np.inf)]
    kind = rng.random()
    if kind < 0.5:
        return _npy(rng.choice(others))
    if kind < 0.6:
        return damaged(member, rng)
    if kind < 0.7:
        return member + bytes(rng.choice([1, 2**20]))
    shape = rng.choice([(2**40,), (2**62, 4), (-1,), (-4, -3), (0, 3), (2**27,), (1,) * 40])
    header = {"descr": rng.choice(["<f4", "|O", "<U99999999"]), "fortran_order": False}
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {**header, "shape": shape})
    return buffer.getvalue() + member[-48:]


def _archive(members: dict[str, bytes], method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content, method)
    return buffer.getvalue()
