"""The arrays of an ``.npz`` file, read within the file's size and without pickles.

``numpy.load`` trusts the headers in such a file: a damaged one makes it ask for terabytes, and
each damage has an exception of its own. Here every array has to be what the caller expects.
"""

from __future__ import annotations

import io
import math
import struct
import tokenize
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from fashionai.errors import counted

SUFFIX = ".npy"
ENCRYPTED_FLAG = 1
# What zipfile and NumPy raise for damaged bytes. RuntimeError: an archive of a later version.
DAMAGE = (
    *(zipfile.BadZipFile, struct.error, tokenize.TokenError, ValueError, TypeError, KeyError),
    *(EOFError, RuntimeError, OverflowError, MemoryError, SyntaxError, IndexError),
)


class DamagedArchiveError(ValueError):
    """A file is no archive of the expected arrays; the text says what is wrong with it."""


class ArrayArchive:
    """An open ``.npz`` file, or the content of one, as numpy.savez writes it: not compressed.

    Raises OSError when it cannot be read, and DamagedArchiveError for another file.
    """

    def __init__(self, source: Union[Path, io.BytesIO]) -> None:
        if isinstance(source, io.BytesIO):
            size = source.getbuffer().nbytes
        else:
            size = source.stat().st_size
        try:
            self._archive = zipfile.ZipFile(source)
        except DAMAGE as error:
            raise DamagedArchiveError(f"not an archive: {error}") from None
        self._members = {info.filename: info for info in self._archive.infolist()}
        if sum(info.file_size for info in self._members.values()) > size:
            self._archive.close()
            raise DamagedArchiveError("it states more bytes than it has")

    def __enter__(self) -> ArrayArchive:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def names(self) -> set[str]:
        """The names of all arrays."""
        return {name[: -len(SUFFIX)] for name in self._members if name.endswith(SUFFIX)}

    def read(
        self, name: str, shape: Sequence[int], dtype: Any, kind: Optional[str] = None
    ) -> np.ndarray:
        """An array, read-only; DamagedArchiveError unless it has this shape and type.

        With ``kind``, one of NumPy's letters, it may be of any type of that kind.
        """
        try:
            found = self._read(name)
        except DAMAGE as error:
            raise DamagedArchiveError(f"{name}: {error}") from None
        right = found.dtype == dtype if kind is None else found.dtype.kind == kind
        if found.shape != tuple(shape) or not right:
            raise DamagedArchiveError(
                f"{name}: {found.dtype} of shape {list(found.shape)}, "
                f"expected {dtype} of {list(shape)}"
            )
        return found

    def read_text(self, name: str) -> str:
        """The text that is stored as an array of no dimensions."""
        return str(self.read(name, (), "text", kind="U"))

    def _read(self, name: str) -> np.ndarray:
        info = self._members.get(name + SUFFIX)
        if info is None:
            raise DamagedArchiveError("it is missing")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & ENCRYPTED_FLAG:
            raise DamagedArchiveError("it is compressed or encrypted")
        content = self._archive.read(info)  # compares its checksum
        stream = io.BytesIO(content)
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, by_column, dtype = np.lib.format.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, by_column, dtype = np.lib.format.read_array_header_2_0(stream)
        else:
            raise DamagedArchiveError(f"version {version} of an array")
        left = len(content) - stream.tell()
        if dtype.hasobject or math.prod(shape) * dtype.itemsize != left:
            raise DamagedArchiveError(f"{counted(left, 'byte')} for {dtype} of shape {list(shape)}")
        values = np.frombuffer(content, dtype, offset=stream.tell())
        return values.reshape(shape, order="F" if by_column else "C")
