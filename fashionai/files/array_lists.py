"""The structure of MXNet's files of arrays, checked without MXNet.

MXNet trusts the numbers in such a file: a damaged one makes it ask for terabytes, or ends the
process. The file holds, with all numbers in little endian,

    uint64 0x112, uint64 0, uint64 the number of arrays, the arrays,
    uint64 the number of names, and for each a uint64 length and so many bytes.

An array is, since MXNet 1.0, a uint32 mark, int32 storage type, int32 number of dimensions, an
int64 for each, int32 device type, int32 device number, int32 data type, and its values. Older
versions have no storage type, and the oldest no mark: uint32 number of dimensions, uint32 each.
"""

from __future__ import annotations

import os
import struct
from math import prod
from pathlib import Path
from typing import BinaryIO

LIST_MARK, MARK_SIZE = 0x112, 8
# Marks of an array with int64 dimensions, and of one with a storage type before them.
SIZED_MARK, TYPED_MARK = 0xF993FAC8, 0xF993FAC9
DENSE = 0
# Bytes per value by the number of its data type: float32, float64, float16, uint8, int32, int8,
# int64 and bool.
SIZES = (4, 8, 2, 1, 4, 1, 8, 1)
# CPU, GPU, pinned and shared memory.
DEVICE_TYPES = (1, 2, 3, 5)
MOST_DEVICES = 1024
MOST_DIMENSIONS = 32


class DamagedArraysError(ValueError):
    """A file is no list of arrays as MXNet writes it; the text says what is wrong with it."""


def check_array_list(path: Path) -> None:
    """Raise DamagedArraysError unless each number in a file of arrays agrees with its length.

    Arrays must be dense and their names distinct. Values are skipped, so that little is read.
    Raises OSError for a file that cannot be read.
    """
    with open(path, "rb") as handle:
        reader = _Reader(handle)
        if reader.left < MARK_SIZE or reader.numbers("<Q") != (LIST_MARK,):
            raise DamagedArraysError("not a .params file of MXNet")
        try:
            _check_arrays_and_names(reader)
        except DamagedArraysError as error:
            raise DamagedArraysError(f"damaged: {error}") from None


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

    def skip(self, size: int) -> None:
        self._take(size)
        self._handle.seek(size, os.SEEK_CUR)

    def numbers(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self.read(struct.calcsize(layout)))

    def _take(self, size: int) -> None:
        if size > self.left:
            raise DamagedArraysError(f"{size:,} bytes expected where {self.left:,} are left")
        self.left -= size


def _check_arrays_and_names(reader: _Reader) -> None:
    _, count = reader.numbers("<QQ")
    for number in range(1, count + 1):
        try:
            _skip_array(reader)
        except DamagedArraysError as error:
            raise DamagedArraysError(f"array {number:,} of {count:,}: {error}") from None
    _check_names(reader, count)
    if reader.left:
        raise DamagedArraysError(f"{reader.left:,} bytes follow the last name")


def _skip_array(reader: _Reader) -> None:
    shape = _read_shape(reader)
    if not 1 <= len(shape) <= MOST_DIMENSIONS or min(shape) < 1:
        raise DamagedArraysError(f"a shape of {list(shape)}")
    device, number, data_type = reader.numbers("<iii")
    if device not in DEVICE_TYPES or not 0 <= number < MOST_DEVICES:
        raise DamagedArraysError(f"device {number} of type {device}")
    if not 0 <= data_type < len(SIZES):
        raise DamagedArraysError(f"data type {data_type}")
    reader.skip(prod(shape) * SIZES[data_type])


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


def _check_names(reader: _Reader, arrays: int) -> None:
    (count,) = reader.numbers("<Q")
    if count not in (0, arrays):
        raise DamagedArraysError(f"{count:,} names of {arrays:,} arrays")
    names = set()
    for _ in range(count):
        (length,) = reader.numbers("<Q")
        name = reader.read(length)
        if b"\0" in name:  # where MXNet's names end
            raise DamagedArraysError("a name that holds a NUL")
        try:
            names.add(name.decode())
        except UnicodeDecodeError:
            raise DamagedArraysError("a name that is not UTF-8 text") from None
    if len(names) < count:
        raise DamagedArraysError("two arrays of one name")
