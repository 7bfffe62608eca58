"""Reading files of ``torch.save`` without PyTorch and without running code from the file.

The files are pickles that refer to storages, which are arrays of numbers outside of
the pickle (torch/serialization.py). Since PyTorch 1.6 a file is a zip archive with
``data.pkl`` and one member per storage. Older files are a sequence of pickles,
followed by the storages. A pickle may call any Python function. This reader
provides only the functions that state dicts need, and refuses all others.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fashionai.conversion.number_types import decode, item_size
from fashionai.errors import WeightsError, counted

ZIP_START = b"PK\x03\x04"
LEGACY_START = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
LEGACY_PROTOCOL = 1001

STORAGE_DTYPES = {
    "DoubleStorage": "F64",
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
}
REBUILD_FUNCTIONS = ("_rebuild_tensor", "_rebuild_tensor_v2")


@dataclass(frozen=True)
class Storage:
    """``count`` numbers of one dtype outside of the pickle, identified by ``key``."""

    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """A view of a storage: element ``index`` is the number at ``offset + sum(index * strides)``."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_torch(data: bytes) -> dict[str, np.ndarray]:
    """The tensors by name, as read-only arrays, of the content of a file of ``torch.save``.

    The state dict is the file's whole content or its entry ``state_dict`` or
    ``model``. Raises WeightsError if the file is damaged, or if it contains anything
    but tensors, containers, numbers and text.
    """
    try:
        return _read_zip(data) if data.startswith(ZIP_START) else _read_legacy(data)
    except WeightsError:
        raise
    # Damaged pickles and archives raise exceptions of nearly every type.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        # The cause is kept: the exception may also come from a defect of this module.
        raise WeightsError(f"damaged or truncated ({reason})") from error


def _read_zip(data: bytes) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        # PyTorch does not compress: only a zip bomb or a damaged file unpacks to more bytes.
        unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > len(data):
            raise WeightsError(
                f"would unpack to {counted(unpacked, 'byte')}, more than the file's own {len(data)}"
            )
        names = archive.namelist()
        pickles = [name for name in names if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise WeightsError("a zip archive without data.pkl, not a checkpoint of PyTorch")
        folder = pickles[0][: -len("data.pkl")]
        order = f"{folder}byteorder"
        return _arrays(
            _state_dict(_Unpickler.load_next(io.BytesIO(archive.read(pickles[0])))[0]),
            lambda key: archive.read(f"{folder}data/{key}"),
            archive.read(order).decode() if order in names else "little",
        )


def _read_legacy(data: bytes) -> dict[str, np.ndarray]:
    stream = io.BytesIO(data)
    stream.seek(len(LEGACY_START))
    protocol, _ = _Unpickler.load_next(stream)
    if protocol != LEGACY_PROTOCOL:
        raise WeightsError(f"protocol {protocol} of torch.save, expected {LEGACY_PROTOCOL}")
    _Unpickler.load_next(stream)  # describes the machine that wrote the file; it is not needed
    value, storages = _Unpickler.load_next(stream)
    keys, _ = _Unpickler.load_next(stream)
    position = stream.tell()
    blocks: dict[str, bytes] = {}
    for key in keys:
        (count,) = struct.unpack_from("<q", data, position)
        if count != storages[key].count:
            raise WeightsError(
                f"storage {key} has {counted(count, 'number')}, expected {storages[key].count}"
            )
        end = position + 8 + count * item_size(storages[key].dtype)
        blocks[key] = data[position + 8 : end]
        position = end
    return _arrays(_state_dict(value), blocks.__getitem__, "little")


class _Unpickler(pickle.Unpickler):
    """Builds tensors and plain containers, and raises WeightsError for anything else.

    ``find_class`` returns new function objects in every call: a pickle can set
    attributes on them, which must not affect the reading of other files.
    """

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, encoding="utf-8")
        self.storages: dict[str, Storage] = {}

    @classmethod
    def load_next(cls, stream: io.BytesIO) -> tuple[Any, dict[str, Storage]]:
        """Load the pickle at the stream's position: its value and the storages it refers to."""
        start = stream.tell()
        _check_memo(stream)
        stream.seek(start)
        unpickler = cls(stream)
        return unpickler.load(), unpickler.storages

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in STORAGE_DTYPES:
            return STORAGE_DTYPES[name]
        if module == "torch._utils" and name in REBUILD_FUNCTIONS:
            return lambda storage, offset, shape, strides, *_: Tensor(
                storage, offset, tuple(shape), tuple(strides)
            )
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda tensor, *_: tensor
        raise WeightsError(
            f"refers to {module}.{name}, which a file of weights does not need; it was not run",
            "Only a state dict of tensors can be read",
        )

    def persistent_load(self, pid: Any) -> Storage:
        kind, dtype, key, _, count, *view = pid
        if kind != "storage" or dtype not in STORAGE_DTYPES.values() or any(view):
            raise WeightsError(f"contains a reference to a {kind} that no state dict has")
        return self.storages.setdefault(key, Storage(key, dtype, count))


def _check_memo(stream: io.BytesIO) -> None:
    """Raise WeightsError if a memo index exceeds the number of memo entries.

    Python allocates memory for the largest index before it fills the memo: a damaged
    index could exhaust the memory.
    """
    entries = 0
    for operation, argument, _ in pickletools.genops(stream):
        if "PUT" in operation.name:
            entries += 1
            if int(argument or 0) > entries:
                raise WeightsError(f"damaged or truncated (memo index {argument})")


def _state_dict(value: Any) -> dict[str, Tensor]:
    """The state dict in a pickled value: the value itself, or its entry for the network."""
    for key in ("state_dict", "model"):
        if isinstance(value, dict) and isinstance(value.get(key), dict):
            value = value[key]
    if not isinstance(value, dict):
        raise WeightsError(f"contains a {type(value).__name__}, expected a state dict of tensors")
    for name, tensor in value.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise WeightsError(f"entry {name!r} is a {type(tensor).__name__}, expected a tensor")
    return value


def _arrays(
    tensors: dict[str, Tensor], read: Callable[[str], bytes], order: str
) -> dict[str, np.ndarray]:
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    numbers = {key: _numbers(storage, read(key), order) for key, storage in storages.items()}
    return {name: _view(name, tensor, numbers) for name, tensor in tensors.items()}


def _numbers(storage: Storage, data: bytes, order: str) -> np.ndarray:
    expected = storage.count * item_size(storage.dtype)
    if len(data) != expected:
        raise WeightsError(
            f"storage {storage.key} has {counted(len(data), 'byte')}, expected {expected}"
        )
    return decode(data, storage.dtype, order)


def _view(name: str, tensor: Tensor, numbers: dict[str, np.ndarray]) -> np.ndarray:
    """The tensor as a view of its storage. Raises WeightsError if it exceeds the storage."""
    storage = numbers[tensor.storage.key]
    shape, strides = tensor.shape, tensor.strides
    last = tensor.offset + sum((size - 1) * step for size, step in zip(shape, strides))
    count = np.prod(shape, dtype=object)  # Python's integers do not overflow
    if (
        len(shape) != len(strides)
        or min((tensor.offset, *shape, *strides)) < 0
        or count > len(storage)
        or (count and last >= len(storage))
    ):
        raise WeightsError(
            f"tensor {name} of shape {shape}, strides {strides} and offset {tensor.offset} "
            f"does not lie within its storage of {counted(len(storage), 'number')}"
        )
    steps = tuple(step * storage.itemsize for step in strides)
    start = storage[tensor.offset :] if count else storage[:0]
    return np.lib.stride_tricks.as_strided(start, shape, steps, writeable=False)
