"""The import of PyTorch, and its devices."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Sequence
from typing import Any

from fashionai.errors import InstallationError, first_line
from fashionai.frameworks.allocation import keep_freed_memory
from fashionai.frameworks.devices import Device, chosen_gpus
from fashionai.runtime import compute_threads

# Builds of earlier versions hold no code for GPUs of compute capability 12.0.
OLDEST_VERSION = (2, 7)
INSTALL_HINT = "Run ./scripts/setup.sh --torch, or pip install 'fashionai[torch]'"


def has_torch() -> bool:
    """Whether PyTorch is installed; it is not imported."""
    return importlib.util.find_spec("torch") is not None


@functools.cache
def import_torch() -> Any:
    """Import PyTorch and return the module; it computes with as many threads as MXNet would.

    From then on this process keeps the memory that it frees, see keep_freed_memory. Raises
    InstallationError if PyTorch is not installed, too old or does not load.
    """
    if not has_torch():
        raise InstallationError("PyTorch is not installed", INSTALL_HINT)
    try:
        torch = importlib.import_module("torch")
    except (ImportError, OSError) as error:
        raise InstallationError(
            f"PyTorch does not load: {first_line(error)}", INSTALL_HINT
        ) from error
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version < OLDEST_VERSION:
        expected = ".".join(map(str, OLDEST_VERSION))
        raise InstallationError(
            f"PyTorch {torch.__version__} is installed, expected at least {expected}", INSTALL_HINT
        )
    torch.set_num_threads(compute_threads())
    keep_freed_memory()
    return torch


def torch_devices(device: str = "auto", gpus: Sequence[int] = ()) -> list[Device]:
    """The devices that PyTorch computes on: GPUs, or one CPU.

    ``device`` is ``auto`` (GPUs if there are any, else the CPU), ``cpu`` or ``gpu``; ``gpus``
    are indices of GPUs, all by default. Raises InstallationError for a GPU that PyTorch does
    not find, or holds no code for.
    """
    torch = import_torch()
    finds_gpus = device != "cpu" and torch.cuda.is_available()
    available = torch.cuda.device_count() if finds_gpus else 0
    hint = "install a CUDA build of PyTorch with ./scripts/setup.sh --torch"
    chosen = chosen_gpus(device, gpus, available, lambda: f"PyTorch {torch.__version__}", hint)
    if chosen is None:
        return [Device("cpu")]
    for index in chosen:
        check_has_code(torch, index)
    return [Device("gpu", index) for index in chosen]


def why_no_gpu() -> tuple[str, str]:
    """Why PyTorch uses none of the GPUs that the driver has, and what to do."""
    if not has_torch():
        return "PyTorch is not installed", INSTALL_HINT
    torch = import_torch()
    if torch.version.cuda is None:
        reason = f"the installed PyTorch {torch.__version__} is a CPU build"
        return reason, "Install its CUDA build with ./scripts/setup.sh --torch"
    reason = f"PyTorch {torch.__version__} finds none with CUDA {torch.version.cuda}"
    return reason, "Check nvidia-smi, which may show a driver that is too old for this CUDA"


def check_has_code(torch: Any, index: int) -> None:
    """Raise InstallationError unless PyTorch holds code that this GPU can run.

    ``sm_90`` is code for compute capability 9.x; ``compute_90`` is compiled by the driver for
    that capability and all later ones.
    """
    capability = torch.cuda.get_device_capability(index)
    kinds = [name.rstrip("af").partition("_") for name in torch.cuda.get_arch_list()]
    built = [(kind, divmod(int(number), 10)) for kind, _, number in kinds if number.isdecimal()]
    runs = any(
        found <= capability and (kind == "compute" or found[0] == capability[0])
        for kind, found in built
    )
    if not runs:
        listed = ", ".join(torch.cuda.get_arch_list())
        raise InstallationError(
            f"GPU {index} has compute capability {capability[0]}.{capability[1]}, but this build "
            f"of PyTorch {torch.__version__} holds code for {listed} alone",
            "Choose another GPU with --gpus, install a newer PyTorch, or give --device cpu",
        )
