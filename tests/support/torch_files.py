"""Files as torch.save writes them, in both of its forms, without PyTorch."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Optional
from unittest.mock import patch

import numpy as np

STORAGES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "uint16": "BFloat16Storage",  # the bits of one
    "int64": "LongStorage",
    "int32": "IntStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}


def _global(module: str, name: str) -> Any:
    """Something that is pickled under this name."""
    kind = type(name, (), {"__module__": module})
    setattr(sys.modules[module], name, kind)
    return kind


class StoredNumbers:
    """A storage: pickled as a reference to ``key``, its bytes kept elsewhere."""

    def __init__(self, key: str, numbers: np.ndarray, count: Optional[int] = None) -> None:
        self.key, self.numbers = key, numbers
        self.count = len(numbers) if count is None else count

    @property
    def reference(self) -> tuple[object, ...]:
        kind = _global("torch", STORAGES[self.numbers.dtype.name])
        return ("storage", kind, self.key, "cpu", self.count)


@dataclass
class View:
    """A tensor: part of a storage."""

    storage: StoredNumbers
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __reduce__(self) -> tuple[object, ...]:
        arguments = (self.storage, self.offset, self.shape, self.strides, False, OrderedDict())
        return (_global("torch._utils", "_rebuild_tensor_v2"), arguments)


@dataclass
class Parameter:
    data: View

    def __reduce__(self) -> tuple[object, ...]:
        rebuild = _global("torch._utils", "_rebuild_parameter")
        return (rebuild, (self.data, True, OrderedDict()))


class Calling:
    """Unpickled by calling a function, which a pickle may name freely."""

    def __init__(self, function: Any, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[object, ...]:
        return (self.function, self.arguments)


def tensor(array: np.ndarray, key: str = "0") -> View:
    """A tensor with a storage of its own, in C order."""
    strides = tuple(step // array.itemsize for step in np.ascontiguousarray(array).strides)
    return View(StoredNumbers(key, array.ravel()), 0, array.shape, strides)


def _pickled(value: object) -> tuple[bytes, dict[str, np.ndarray]]:
    storages: dict[str, np.ndarray] = {}
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, protocol=2)

    def persistent_id(item: object) -> Optional[tuple[object, ...]]:
        if not isinstance(item, StoredNumbers):
            return None
        storages[item.key] = item.numbers
        return item.reference

    pickler.persistent_id = persistent_id  # type: ignore[method-assign]
    # Pickle insists on being able to import what it names.
    modules = {name: types.ModuleType(name) for name in ("torch", "torch._utils")}
    with patch.dict(sys.modules, modules):
        pickler.dump(value)
    return stream.getvalue(), storages


def zip_file(value: object, order: str = "little", compression: int = zipfile.ZIP_STORED) -> bytes:
    content, storages = _pickled(value)
    return zip_of(content, storages, order, compression)


def zip_of(
    content: bytes,
    storages: dict[str, np.ndarray],
    order: str = "little",
    compression: int = zipfile.ZIP_STORED,
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/byteorder", order)
        for key, numbers in storages.items():
            stored = numbers if order == "little" else numbers.byteswap()
            archive.writestr(f"archive/data/{key}", stored.tobytes())
        archive.writestr("archive/version", "3\n")
    return buffer.getvalue()


def legacy_file(value: object, order: str = "little") -> bytes:
    content, storages = _pickled(value)
    system = {"protocol_version": 1001, "little_endian": order == "little", "type_sizes": {}}
    parts = [pickle.dumps(item, 2) for item in (0x1950A86A20F9469CFC6C, 1001, system)]
    parts += [content, pickle.dumps(sorted(storages), 2)]
    for key in sorted(storages):
        parts += [struct.pack("<q", len(storages[key])), storages[key].tobytes()]
    return b"".join(parts)
