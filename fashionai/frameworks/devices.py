"""A device by its type and number, the same for every framework."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

# The frameworks: MXNet and PyTorch.
GLUON, TORCH = "gluon", "torch"


class Device(NamedTuple):
    """A CPU or a GPU, named as MXNet names its contexts: ``cpu(0)``, ``gpu(1)``.

    ``device_type`` is ``cpu`` or ``gpu``; ``device_id`` is the index of a GPU, 0 for the CPU.
    """

    device_type: str
    device_id: int = 0

    def __str__(self) -> str:
        return f"{self.device_type}({self.device_id})"


def framework_of_devices(contexts: Sequence[Any]) -> str:
    """The framework that can always compute on these devices: ``gluon``, or ``torch`` on its GPUs.

    MXNet computes on the CPU whichever framework's devices are given.
    """
    first = contexts[0]
    on_torch = isinstance(first, Device) and first.device_type == "gpu"
    return TORCH if on_torch else GLUON
