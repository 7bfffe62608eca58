"""A device by its type and number, the same for every framework."""

from __future__ import annotations

from typing import NamedTuple


class Device(NamedTuple):
    """A CPU or a GPU, named as MXNet names its contexts: ``cpu(0)``, ``gpu(1)``.

    ``device_type`` is ``cpu`` or ``gpu``; ``device_id`` is the index of a GPU, 0 for the CPU.
    """

    device_type: str
    device_id: int = 0

    def __str__(self) -> str:
        return f"{self.device_type}({self.device_id})"
