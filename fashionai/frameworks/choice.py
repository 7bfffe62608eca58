"""Which framework computes, and on which devices."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from fashionai.errors import ConfigError, InstallationError, counted
from fashionai.frameworks import mxnet
from fashionai.frameworks.devices import AUTO, GLUON, TORCH, Device
from fashionai.frameworks.driver import compute_capabilities
from fashionai.frameworks.processes import Place, current_place
from fashionai.frameworks.torch import has_torch, import_torch, torch_devices, why_no_gpu

log = logging.getLogger(__name__)


class Chosen(NamedTuple):
    """A framework, ``gluon`` (MXNet) or ``torch``, and its devices.

    ``engine`` is ``auto`` where both can use these devices and none was asked for.
    """

    engine: str
    contexts: list[Any]


def choose_devices(engine: str = AUTO, device: str = AUTO, gpus: Sequence[int] = ()) -> Chosen:
    """The framework and the devices for these options.

    ``engine`` is ``auto``, ``gluon`` or ``torch``; ``device`` is ``auto`` (GPUs if there are
    any, else the CPU), ``cpu`` or ``gpu``; ``gpus`` are indices of GPUs, all by default. With
    ``auto`` MXNet is taken for GPUs that it can use, and PyTorch for GPUs that it alone can
    use, which is logged, as is why this machine's GPUs are left out. Raises InstallationError for
    a GPU that cannot be used.
    """
    place = current_place()
    if place.count > 1:
        chosen = Chosen(TORCH, [_device_of(place, engine, device, gpus)])
    else:
        chosen = _choose(engine, device, gpus)
    leaves_out = device == AUTO and chosen.contexts[0].device_type == "cpu"
    if leaves_out and compute_capabilities():
        log.info("no GPU is used: %s. %s", *_why_no_gpu(chosen.engine))
    return chosen


def _choose(engine: str, device: str, gpus: Sequence[int]) -> Chosen:
    """choose_devices for one process."""
    if engine == TORCH:
        return Chosen(TORCH, torch_devices(device, gpus))
    reason = "" if engine == GLUON or device == "cpu" else _why_not_mxnet(gpus)
    if not reason:
        return Chosen(engine, mxnet.contexts(device, gpus))
    if has_torch() and import_torch().cuda.is_available():
        log.info("engine torch: %s", reason)
        return Chosen(TORCH, torch_devices(device, gpus))
    if device == "gpu" or gpus:
        missing, hint = why_no_gpu()
        raise InstallationError(f"{reason}, and {missing}", f"{hint}, or give --device cpu")
    return Chosen(engine, mxnet.contexts("cpu"))


def devices_to_predict(engine: str, framework: str, device: str, gpus: Sequence[int]) -> Chosen:
    """The engine and the devices with which this process predicts.

    One of several processes has one device, and without a choice (``auto``) engine torch, because
    all of them need the same engine. ``framework`` is that of the engine. Raises
    InstallationError as choose_devices does.
    """
    place = current_place()
    if place.count == 1:
        return Chosen(engine, contexts(device, gpus, framework))
    if framework == GLUON:
        return Chosen(engine, [_share_of(place, mxnet.contexts(device, gpus))])
    return Chosen(TORCH, [_share_of(place, torch_devices(device, gpus))])


def _device_of(place: Place, engine: str, device: str, gpus: Sequence[int]) -> Device:
    """The device of one of several processes: the GPUs of a machine are dealt out in order."""
    if engine == GLUON:
        raise ConfigError(
            f"{place}: MXNet does not train in several processes", "Give --engine torch"
        )
    device_of_process: Device = _share_of(place, torch_devices(device, gpus))
    return device_of_process


def _share_of(place: Place, found: Sequence[Any]) -> Any:
    """The device of a process, of those of its machine; all processes share a CPU.

    SLURM may show each of its tasks one GPU alone, which is then its own.
    """
    if len(found) == 1 and "SLURM_LOCALID" in os.environ:
        return found[0]
    if place.local_rank >= len(found) and found[0].device_type == "gpu":
        raise InstallationError(
            f"{place}: this machine has {counted(len(found), 'GPU')}, and this is its process "
            f"{place.local_rank + 1}",
            "Start one process for each GPU",
        )
    return found[min(place.local_rank, len(found) - 1)]


def one_of(chosen: Chosen) -> list[Any]:
    """The devices for work that is not divided among processes: PyTorch computes on one alone."""
    if chosen.engine == TORCH and len(chosen.contexts) > 1:
        log.info("one GPU is used: %s", chosen.contexts[0])
        return chosen.contexts[:1]
    return chosen.contexts


def contexts(device: str = AUTO, gpus: Sequence[int] = (), engine: str = AUTO) -> list[Any]:
    """The devices to compute on.

    Args:
        device: ``auto`` (GPUs if there are any, else the CPU), ``cpu`` or ``gpu``.
        gpus: Indices of the GPUs to use; all by default.
        engine: ``gluon`` for MXNet's devices, ``torch`` for PyTorch's. ``auto`` takes MXNet's,
            except for GPUs that PyTorch alone can use.

    Returns:
        One context per device.

    Raises:
        InstallationError: A GPU that does not exist or that the installed framework has no
            code for, or a framework that cannot be imported.

    Example:
        >>> fashionai.contexts("cpu")
        [cpu(0)]
    """
    return choose_devices(engine, device, gpus).contexts


def _why_no_gpu(engine: str) -> tuple[str, str]:
    """Why ``engine`` uses none of this machine's GPUs, and what to do; with ``auto`` of both."""
    if engine == GLUON:
        return _why_not_mxnet(()), "Give --engine torch, or run ./scripts/setup.sh --gpu"
    reason, hint = why_no_gpu()
    return reason if engine == TORCH else f"{_why_not_mxnet(())}, and {reason}", hint


def _why_not_mxnet(gpus: Sequence[int]) -> str:
    """Why MXNet cannot use these GPUs; an empty text if it can, or if there are none."""
    capabilities = compute_capabilities()
    if any(index >= len(capabilities) for index in gpus) or not capabilities:
        return ""
    if not mxnet.has_gpu_build():
        return "the installed MXNet is a CPU build"
    try:
        mxnet.check_compute_capability(list(gpus) or range(len(capabilities)), capabilities)
    except InstallationError as error:
        return error.message
    return "" if mxnet.import_mxnet().context.num_gpus() else "the installed MXNet finds no GPU"
