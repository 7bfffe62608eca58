"""A device by its type and number, the same for every framework."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Optional

from fashionai.errors import InstallationError

# The frameworks: MXNet and PyTorch.
AUTO, GLUON, TORCH = "auto", "gluon", "torch"
# What device can be, see choose_devices.
DEVICES = (AUTO, "cpu", "gpu")


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


def chosen_gpus(
    device: str, gpus: Sequence[int], available: int, finder: Callable[[], str], hint: str
) -> Optional[list[int]]:
    """The indices of the GPUs to compute on; None for the CPU.

    ``device`` and ``gpus`` are as for choose_devices. ``finder`` names the framework that finds
    ``available`` GPUs, ``hint`` what to do where one is missing. Raises InstallationError for a
    GPU that it does not find.
    """
    if device == "cpu":
        if gpus:
            raise InstallationError(
                "--gpus and --device cpu exclude each other", "Give only one of them"
            )
        return None
    if available == 0 and device == AUTO and not gpus:
        return None
    chosen = list(gpus) or list(range(available))
    missing = [index for index in chosen if index >= available]
    if missing or not chosen:
        requested = f"GPU {missing[0]}" if missing else "a GPU"
        raise InstallationError(
            f"{requested} was requested, but {finder()} finds {available or 'none'}",
            f"Check nvidia-smi, {hint}, or give --device cpu",
        )
    return chosen
