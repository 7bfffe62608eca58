"""Reading checkpoints of PyTorch networks, in any of their file formats, as arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import safetensors

from fashionai.conversion.number_types import decode
from fashionai.conversion.torch_files import LEGACY_START, ZIP_START, read_torch
from fashionai.errors import WeightsError

# torch.nn.DataParallel puts this in front of every name.
DATA_PARALLEL_PREFIX = "module."


def read_checkpoint(file: Path) -> dict[str, np.ndarray]:
    """The tensors of a checkpoint by name, as read-only arrays.

    Tensors of 16-bit floats become float32, all others keep their dtype. The format
    is detected from the content: safetensors, or either format of ``torch.save``
    (.pth, .pt, .bin). No code in the file is run. Raises WeightsError, which names
    the file, if it is missing or damaged or contains anything but tensors.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise WeightsError(f"{file}: cannot be read ({error.strerror})") from None
    try:
        tensors = _read(data)
    except WeightsError as error:
        raise WeightsError(f"{file}: {error.message}", error.hint) from None
    if not tensors:
        raise WeightsError(f"{file}: contains no tensors")
    if all(name.startswith(DATA_PARALLEL_PREFIX) for name in tensors):
        tensors = {
            name.removeprefix(DATA_PARALLEL_PREFIX): tensor for name, tensor in tensors.items()
        }
    return tensors


def _read(data: bytes) -> dict[str, np.ndarray]:
    if data.startswith((ZIP_START, LEGACY_START)):
        return read_torch(data)
    if data[8:9] != b"{":  # a safetensors file begins with a length of eight bytes, then JSON
        raise WeightsError(
            "not a checkpoint", "Give a .safetensors file, or a .pth or .pt file of torch.save"
        )
    try:
        entries = safetensors.deserialize(data)
    except safetensors.SafetensorError as error:
        raise WeightsError(f"not a safetensors file, or damaged ({error})") from None
    return {
        name: decode(entry["data"], entry["dtype"], "little").reshape(entry["shape"])
        for name, entry in entries
    }
