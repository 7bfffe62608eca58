"""Files of parameters, of each version of MXNet's format, read alone and into a network."""

from __future__ import annotations

import random
import struct
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
from commands import attempt
from damage import damaged

from fashionai.files.formats.array_lists import LIST_MARK, SIZED_MARK, TYPED_MARK
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.parameter_files import read_parameters
from fashionai.models.zoo import load_parameters

mx = import_mxnet()

DTYPES = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool")
# A dense layer and a normalisation.
NETWORK = {
    **{"0.weight": (4, 3), "0.bias": (4,), "1.gamma": (4,), "1.beta": (4,)},
    **{"1.running_mean": (4,), "1.running_var": (4,)},
}
OTHER_NAMES = ("a", "arg:b", "b", "aux:c", "0.weight", "ü", "x" * 300)
NUMBERS = (0, 1, 2, 3, 7, 255, 2**31 - 1, 2**31, 2**32 - 1)

Arrays = dict[str, np.ndarray]


class Case(NamedTuple):
    """A file, and whether it is sound, alone and for the network."""

    content: bytes
    sound: bool
    fits: bool


def make(rng: random.Random) -> Case:
    """The parameters of the network or any others; damaged in two of three cases."""
    fits = rng.random() < 0.5
    arrays = {name: _array(shape, "float32", rng) for name, shape in NETWORK.items()}
    if not fits:
        names = rng.sample(OTHER_NAMES, rng.randint(1, 5))
        shapes = [tuple(rng.randint(1, 4) for _ in range(rng.randint(1, 5))) for _ in names]
        arrays = {
            name: _array(shape, rng.choice(DTYPES), rng) for name, shape in zip(names, shapes)
        }
    content = _written(arrays, rng.choice([TYPED_MARK, TYPED_MARK, SIZED_MARK, 0]))
    if rng.random() < 1 / 3:
        return Case(content, not {"b", "arg:b"} <= arrays.keys(), fits)
    if rng.random() < 0.4:
        at = rng.randrange(0, len(content) - 8)
        number = rng.choice(NUMBERS)
        return Case(content[:at] + struct.pack("<I", number) + content[at + 4 :], False, False)
    return Case(damaged(content, rng), False, False)


def check(case: Case, folder: Path) -> str:
    """Read the file; the arrays are those of a reading by struct."""
    file = folder / "best.params"
    file.write_bytes(case.content)
    read = attempt(read_parameters, file)
    network = mx.gluon.nn.HybridSequential()
    network.add(mx.gluon.nn.Dense(4, in_units=3), mx.gluon.nn.BatchNorm(in_channels=4))
    network.initialize()
    loaded = attempt(load_parameters, network, file, [mx.cpu()])
    assert not (case.sound and read.word == "refused"), f"sound, but refused: {read.result}"
    assert not (case.fits and loaded.word == "refused"), f"fits, but refused: {loaded.result}"
    if read.word == "accepted":
        plain = _plain_reading(case.content)
        assert sum(array.size for array in read.result.values()) <= len(case.content)
        _assert_equal(read.result, plain)
    if loaded.word == "accepted":
        assert read.word == "accepted"
        values = network._collect_params_with_prefix()
        _assert_equal({name: each.data().asnumpy() for name, each in values.items()}, plain)
    return read.word


def _array(shape: tuple[int, ...], dtype: str, rng: random.Random) -> np.ndarray:
    values = [rng.choice([0, 1, rng.randint(-100, 100)]) for _ in range(prod(shape))]
    return np.array(values).reshape(shape).astype(dtype)


def _written(arrays: Arrays, mark: int) -> bytes:
    """The file as MXNet writes it; without a mark as its first versions did."""
    parts = [struct.pack("<QQQ", LIST_MARK, 0, len(arrays))]
    for array in arrays.values():
        head = {TYPED_MARK: struct.pack("<Ii", mark, 0), SIZED_MARK: struct.pack("<I", mark)}
        letter = "q" if mark else "I"
        shape = struct.pack(f"<i{array.ndim}{letter}", array.ndim, *array.shape)
        parts += [head.get(mark, b""), shape]
        parts += [struct.pack("<iii", 1, 0, DTYPES.index(str(array.dtype))), array.tobytes()]
    parts.append(struct.pack("<Q", len(arrays)))
    for name in arrays:
        parts.append(struct.pack("<Q", len(name.encode())) + name.encode())
    return b"".join(parts)


def _plain_reading(content: bytes) -> Arrays:
    """The arrays by name, without the prefixes of exported networks."""
    at, arrays, names = 24, [], []
    (count,) = struct.unpack_from("<Q", content, 16)
    for _ in range(count):
        (mark,) = struct.unpack_from("<I", content, at)
        at += {TYPED_MARK: 8, SIZED_MARK: 4}.get(mark, 0)
        (dimensions,) = struct.unpack_from("<i", content, at)
        letter = "q" if mark in (TYPED_MARK, SIZED_MARK) else "I"
        shape = struct.unpack_from(f"<{dimensions}{letter}", content, at + 4)
        at += 4 + struct.calcsize(f"<{dimensions}{letter}")
        dtype = np.dtype(DTYPES[struct.unpack_from("<i", content, at + 8)[0]])
        arrays.append(np.frombuffer(content, dtype, prod(shape), at + 12).reshape(shape))
        at += 12 + prod(shape) * dtype.itemsize
    at += 8
    for _ in range(count):
        (length,) = struct.unpack_from("<Q", content, at)
        name = content[at + 8 : at + 8 + length].decode()
        names.append(name[4:] if name.startswith(("arg:", "aux:")) else name)
        at += 8 + length
    assert len(set(names)) == count, "two arrays of one name"
    return dict(zip(names, arrays))


def _assert_equal(found: Arrays, plain: Arrays) -> None:
    assert found.keys() == plain.keys()
    for name, array in found.items():
        assert array.dtype == plain[name].dtype, name
        assert array.shape == plain[name].shape, name
        assert array.tobytes() == plain[name].tobytes(), name
