"""Machines with GPUs that are not there, and the builds of frameworks that they have."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any, Optional

import pytest

from fashionai.errors import InstallationError
from fashionai.frameworks import mxnet
from fashionai.frameworks import torch as torch_module
from fashionai.frameworks.driver import LIBRARY, Gpu

# Architectures that a build of PyTorch holds code for.
HOPPER = ["sm_80", "sm_86", "sm_90"]


class NamedContext(str):
    """A context of MXNet as it prints it."""

    @property
    def device_type(self) -> str:
        """Its type, as MXNet's contexts tell it."""
        return self.partition("(")[0]


def run_python(program: str, **environment: str) -> str:
    """Run a program in a new process; returns what it prints, stripped."""
    inherited = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    finished = subprocess.run(
        [sys.executable, "-c", program],
        env={**inherited, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )
    return finished.stdout.strip()


def install(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Make these the installed distributions."""
    distributions = [SimpleNamespace(metadata={"Name": name}) for name in names]
    monkeypatch.setattr(importlib.metadata, "distributions", lambda: distributions)


def have_gpus(monkeypatch: pytest.MonkeyPatch, *capabilities: tuple[int, int]) -> None:
    """Make MXNet find GPUs of these compute capabilities, and name contexts as it prints them."""
    fake = SimpleNamespace(
        context=SimpleNamespace(num_gpus=lambda: len(capabilities)),
        cpu=lambda index=0: NamedContext(f"cpu({index})"),
        gpu=lambda index=0: NamedContext(f"gpu({index})"),
    )
    install(monkeypatch, "mxnet-cu112" if capabilities else "mxnet")
    monkeypatch.setattr(mxnet, "import_mxnet", lambda: fake)
    monkeypatch.setattr(mxnet, "compute_capabilities", lambda: list(capabilities))


def have_driver(monkeypatch: pytest.MonkeyPatch, *gpus: Gpu) -> None:
    """A driver with these GPUs, whose functions write where their arguments point."""

    def count(target: Any) -> None:
        target._obj.value = len(gpus)

    def device(target: Any, index: int) -> None:
        target._obj.value = index

    def attribute(target: Any, number: int, device: Any) -> None:
        target._obj.value = gpus[device.value].capability[{75: 0, 76: 1}[number]]

    def name(target: Any, size: int, device: Any) -> None:
        target.value = gpus[device.value].name.encode()

    def memory(target: Any, device: Any) -> None:
        target._obj.value = round(gpus[device.value].memory_gigabytes * 1e9)

    library = SimpleNamespace(
        cuInit=lambda flags: None,
        cuDeviceGetCount=count,
        cuDeviceGet=device,
        cuDeviceGetAttribute=attribute,
        cuDeviceGetName=name,
        cuDeviceTotalMem_v2=memory,
    )
    load = ctypes.CDLL
    monkeypatch.setattr(
        ctypes,
        "CDLL",
        lambda file, *rest, **options: library if file == LIBRARY else load(file, *rest, **options),
    )


def have_torch(
    monkeypatch: pytest.MonkeyPatch,
    capabilities: list[tuple[int, int]],
    built: list[str],
    cuda_version: Optional[str] = "13.0",
) -> None:
    """A PyTorch with code for these architectures, on a machine with these GPUs.

    Builds for the CPU have no ``cuda_version``.
    """
    cuda = SimpleNamespace(
        is_available=lambda: bool(capabilities),
        device_count=lambda: len(capabilities),
        get_device_capability=lambda index: capabilities[index],
        get_arch_list=lambda: built,
    )
    version = SimpleNamespace(cuda=cuda_version)
    fake = SimpleNamespace(cuda=cuda, version=version, __version__="2.9.1")
    monkeypatch.setattr(torch_module, "import_torch", lambda: fake)


def message_of(error: pytest.ExceptionInfo[InstallationError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message
