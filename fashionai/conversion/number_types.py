"""The dtypes of tensors in checkpoints, by their names in safetensors."""

from __future__ import annotations

from typing import Union

import numpy as np

from fashionai.errors import WeightsError

DTYPES = {
    "F64": "f8",
    "F32": "f4",
    "F16": "f2",
    "BF16": "u2",  # NumPy has no bfloat16; it is the upper half of a float32
    "I64": "i8",
    "I32": "i4",
    "I16": "i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}


def item_size(dtype: str) -> int:
    """The number of bytes of one element. Raises WeightsError for an unsupported dtype."""
    if dtype not in DTYPES:
        raise WeightsError(
            f"contains tensors of dtype {dtype}, expected one of {', '.join(DTYPES)}"
        )
    return np.dtype(DTYPES[dtype]).itemsize


def decode(data: Union[bytes, bytearray, memoryview], dtype: str, order: str) -> np.ndarray:
    """The elements in ``data`` as a read-only array ``(N,)``; 16-bit floats become float32.

    ``order`` is the byte order, ``little`` or ``big``. Raises WeightsError for an
    unknown dtype or byte order.
    """
    item_size(dtype)
    if order not in ("little", "big"):
        raise WeightsError(f"byte order '{order}', expected little or big")
    sign = "<" if order == "little" else ">"
    stored = np.frombuffer(data, np.dtype(sign + DTYPES[dtype]))
    numbers = stored.astype(DTYPES[dtype], copy=False)
    if dtype == "BF16":
        numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
    elif dtype == "F16":
        numbers = numbers.astype(np.float32)
    numbers.flags.writeable = False
    return numbers
