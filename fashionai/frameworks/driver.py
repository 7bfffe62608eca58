"""NVIDIA's driver: the GPUs of this machine, without any framework."""

from __future__ import annotations

import ctypes
from typing import Any

LIBRARY = "libcuda.so.1"

CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75

CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76


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
