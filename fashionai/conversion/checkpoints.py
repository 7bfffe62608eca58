"""Checkpoints of PyTorch networks as arrays, whichever way they were saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import safetensors

from fashionai.conversion.number_types import decode
from fashionai.conversion.torch_files import LEGACY_START, ZIP_START, read_torch
from fashionai.errors import WeightsError

# What torch.nn.DataParallel puts before every name.
WRAPPER = "module."


def read_checkpoint(file: Path) -> dict[str, np.ndarray]:
    """The tensors of a checkpoint by name, read-only; those of 16 bits as float32.

    Takes safetensors and both forms of ``torch.save`` (.pth, .pt, .bin), told apart
    by their content. Nothing in the file is run. Raises WeightsError that
    names the file, for one that is missing, damaged or holds anything but tensors.
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
        raise WeightsError(f"{file}: holds no tensors")
    if all(name.startswith(WRAPPER) for name in tensors):
        tensors = {name[len(WRAPPER) :]: tensor for name, tensor in tensors.items()}
    return tensors


def _read(data: bytes) -> dict[str, np.ndarray]:
    if data.startswith((ZIP_START, LEGACY_START)):
        return read_torch(data)
    if data[8:9] != b"{":  # safetensors: a length of eight bytes, then JSON
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
