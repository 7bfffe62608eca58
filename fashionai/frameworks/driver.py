"""NVIDIA's driver: the GPUs of this machine, without any framework."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

LIBRARY = "libcuda.so.1"

CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75

CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76


# In bytes; names of GPUs are shorter.
LONGEST_NAME = 256


class Gpu(NamedTuple):
    """A GPU as the driver describes it; its memory is in units of 10^9 bytes."""

    name: str
    capability: tuple[int, int]
    memory_gigabytes: float


def describe_gpus(cuda: Any = None) -> list[Gpu]:
    """Every visible GPU; ``cuda`` is as for compute_capabilities."""
    capabilities = compute_capabilities(cuda)
    if not capabilities:
        return []
    cuda = cuda or ctypes.CDLL(LIBRARY)
    return [
        Gpu(_device_name(cuda, index), capability, _device_memory(cuda, index) / 1e9)
        for index, capability in enumerate(capabilities)
    ]


def compute_capabilities(cuda: Any = None) -> list[tuple[int, int]]:
    """The compute capability (major, minor) of every visible GPU, from the driver.

    ``cuda`` is the library of the driver, libcuda.so.1 by default; without it there is no GPU.
    """
    try:
        cuda = cuda or ctypes.CDLL(LIBRARY)
    except OSError:
        return []
    cuda.cuInit(0)
    count = ctypes.c_int()
    cuda.cuDeviceGetCount(ctypes.byref(count))
    return [
        (
            _device_attribute(cuda, index, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
            _device_attribute(cuda, index, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR),
        )
        for index in range(count.value)
    ]


def _device_attribute(cuda: Any, index: int, attribute: int) -> int:
    value, device = ctypes.c_int(), ctypes.c_int()
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
    return value.value


def _device_name(cuda: Any, index: int) -> str:
    name, device = ctypes.create_string_buffer(LONGEST_NAME), ctypes.c_int()
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, LONGEST_NAME, device)
    return name.value.decode("utf-8", "replace")


def _device_memory(cuda: Any, index: int) -> int:
    """The memory of a GPU in bytes."""
    size, device = ctypes.c_size_t(), ctypes.c_int()
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(size), device)
    return size.value
