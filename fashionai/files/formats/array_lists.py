"""MXNet's files of named arrays (``.params``), read and written without MXNet.

MXNet itself trusts the numbers in such a file: a damaged one makes it ask for terabytes, or ends
the process. The file holds, with all numbers in little endian,

    uint64 0x112, uint64 0, uint64 the number of arrays, the arrays,
    uint64 the number of names, and for each a uint64 length and so many bytes.

An array is, since MXNet 1.0, a uint32 mark, int32 storage type, int32 number of dimensions, an
int64 for each, int32 device type, int32 device number, int32 data type, and its values. Older
versions have no storage type, and the oldest no mark: uint32 number of dimensions, uint32 each.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np

from fashionai.errors import counted

LIST_MARK, MARK_SIZE = 0x112, 8
# Marks of an array with int64 dimensions, and of one with a storage type before them.
SIZED_MARK, TYPED_MARK = 0xF993FAC8, 0xF993FAC9
DENSE = 0
CPU = 1
# The data types by their numbers.
DATA_TYPES = [np.dtype(code) for code in ("<f4", "<f8", "<f2", "u1", "<i4", "i1", "<i8", "?")]
# CPU, GPU, pinned and shared memory. Arrays are written as those of the first CPU.
DEVICE_TYPES = (CPU, 2, 3, 5)
MOST_DEVICES = 1024
MOST_DIMENSIONS = 32


class DamagedArraysError(ValueError):
    """A file is no list of arrays as MXNet writes it; the text says what is wrong with it."""


def read_array_list(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name; empty for arrays without names.

    No more memory is taken than the file is long. Raises DamagedArraysError unless each number
    in the file agrees with its length, the arrays are dense and their names distinct, and
    OSError for a file that cannot be read.
    """
    with open(path, "rb") as handle:
        reader = _Reader(handle)
        if reader.left < MARK_SIZE or reader.numbers("<Q") != (LIST_MARK,):
            raise DamagedArraysError("not a .params file of MXNet")
        try:
            return _read_arrays_and_names(reader)
        except DamagedArraysError as error:
            raise DamagedArraysError(f"damaged: {error}") from None


def write_array_list(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name, with the bytes that MXNet writes. Atomicity is up to the caller.

    Raises OSError when the file cannot be written, KeyError for a data type that is not in
    DATA_TYPES.
    """
    with open(path, "wb") as handle:
        handle.write(struct.pack("<QQQ", LIST_MARK, 0, len(arrays)))
        for values in arrays.values():
            handle.write(_header(values))
            handle.write(np.ascontiguousarray(values).data)
        handle.write(struct.pack("<Q", len(arrays)))
        for name in arrays:
            text = name.encode()
            handle.write(struct.pack("<Q", len(text)) + text)


def hash_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """The SHA-256 of the names, types, shapes and values of arrays, whatever their order."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        values = arrays[name]
        digest.update(f"{name} {values.dtype.str} {values.shape}\n".encode())
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _header(values: np.ndarray) -> bytes:
    shape = struct.pack(f"<i{values.ndim}q", values.ndim, *values.shape)
    data_type = {known: number for number, known in enumerate(DATA_TYPES)}[values.dtype]
    return struct.pack("<Ii", TYPED_MARK, DENSE) + shape + struct.pack("<iii", CPU, 0, data_type)


class _Reader:
    """Reads a file forwards, and never beyond its end."""

    def __init__(self, handle: BinaryIO) -> None:
        self._handle = handle
        self.left = os.fstat(handle.fileno()).st_size

    def read(self, size: int) -> bytes:
        self._take(size)
        data = self._handle.read(size)
        if len(data) < size:
            raise DamagedArraysError("the file became shorter")
        return data

    def numbers(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self.read(struct.calcsize(layout)))

    def _take(self, size: int) -> None:
        if size > self.left:
            raise DamagedArraysError(f"{counted(size, 'byte')} expected, {self.left:,} left")
        self.left -= size


def _read_arrays_and_names(reader: _Reader) -> dict[str, np.ndarray]:
    _, count = reader.numbers("<QQ")
    arrays = []
    for number in range(1, count + 1):
        try:
            arrays.append(_read_array(reader))
        except DamagedArraysError as error:
            raise DamagedArraysError(f"array {number:,} of {count:,}: {error}") from None
    names = _read_names(reader, count)
    if reader.left:
        raise DamagedArraysError(f"{counted(reader.left, 'byte')} after the last name")
    return dict(zip(names, arrays))


def _read_array(reader: _Reader) -> np.ndarray:
    shape = _read_shape(reader)
    if not 1 <= len(shape) <= MOST_DIMENSIONS or min(shape) < 1:
        raise DamagedArraysError(f"a shape of {list(shape)}")
    device, number, data_type = reader.numbers("<iii")
    if device not in DEVICE_TYPES or not 0 <= number < MOST_DEVICES:
        raise DamagedArraysError(f"device {number} of type {device}")
    if not 0 <= data_type < len(DATA_TYPES):
        raise DamagedArraysError(f"data type {data_type}")
    kind = DATA_TYPES[data_type]
    return np.frombuffer(reader.read(prod(shape) * kind.itemsize), kind).reshape(shape)


def _read_shape(reader: _Reader) -> tuple[int, ...]:
    """The dimensions of an array, which may be of any sign; none for too many of them."""
    (mark,) = reader.numbers("<I")
    if mark == TYPED_MARK:
        (storage,) = reader.numbers("<i")
        if storage != DENSE:
            raise DamagedArraysError(f"storage type {storage}, expected a dense array")
    if mark in (SIZED_MARK, TYPED_MARK):
        (count,) = reader.numbers("<i")
        letter = "q"
    else:
        count, letter = mark, "I"
    return reader.numbers(f"<{count}{letter}") if 0 <= count <= MOST_DIMENSIONS else ()


def _read_names(reader: _Reader, arrays: int) -> list[str]:
    (count,) = reader.numbers("<Q")
    if count not in (0, arrays):
        raise DamagedArraysError(f"{counted(count, 'name')} of {counted(arrays, 'array')}")
    names = []
    for _ in range(count):
        (length,) = reader.numbers("<Q")
        name = reader.read(length)
        if b"\0" in name:  # where MXNet's names end
            raise DamagedArraysError("a name that holds a NUL")
        try:
            names.append(name.decode())
        except UnicodeDecodeError:
            raise DamagedArraysError("a name that is not UTF-8 text") from None
    if len(set(names)) < count:
        raise DamagedArraysError("two arrays of one name")
    return names
