"""Which framework trains where none is asked for, and what each can compute."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any

from fashionai.config import Config
from fashionai.errors import ConfigError
from fashionai.frameworks.devices import AUTO, GLUON, TORCH, framework_of_devices
from fashionai.frameworks.driver import compute_capabilities
from fashionai.frameworks.torch import INSTALL_HINT, has_torch
from fashionai.runtime import compute_threads

log = logging.getLogger(__name__)

# Networks that PyTorch trains at least 1.1 times as fast as MXNet on CPUs: docs/performance.md.
FASTER_WITH_TORCH = re.compile(
    r"^(mobilenetv2_(0\.5|0\.75|1\.0)|mobilenetv3|efficientnet|convnext|resnest|resnext|se_res|senet)"
)
# Importing PyTorch takes 3 s and saves 0.01 s of one thread or more per image of 224 pixels. With
# this number of images it saves 10 s or more.
FEWEST_IMAGES_PER_THREAD = 1_000
SIDE = 224
# What MXNet cannot compute, and what GPUs alone can.
PYTORCH_ONLY, GPUS_ONLY = ("tf32", "bfloat16"), ("tf32", "float16")


def wanted_engine(config: Config) -> str:
    """The framework that a configuration asks for; where ``engine`` is auto by its other keys."""
    if config.engine == AUTO and _needs_torch(config):
        return TORCH
    return config.engine


def _needs_torch(config: Config) -> str:
    """The first setting that PyTorch alone has, as ``key=value``; an empty text without one."""
    if config.precision in PYTORCH_ONLY:
        return f"precision={config.precision}"
    if config.compile:
        return "compile=true"
    return "sync_batch_norm=true" if config.sync_batch_norm else ""


def check_engine(config: Config, contexts: Sequence[Any]) -> None:
    """Raise ConfigError for settings that the framework or the devices cannot compute."""
    check_framework(config)
    if config.engine == GLUON and framework_of_devices(contexts) == TORCH:
        raise ConfigError(
            f"engine: gluon (MXNet) cannot compute on PyTorch's {contexts[0]}",
            "Give engine=torch, or MXNet's devices: contexts(engine='gluon')",
        )
    if config.precision in GPUS_ONLY and contexts[0].device_type != "gpu":
        raise ConfigError(
            f"precision: {config.precision} needs a GPU, found {contexts[0]}",
            "Give precision=float32, or a GPU with --device gpu",
        )


def check_framework(config: Config) -> None:
    """Raise ConfigError for settings that the framework has on no device."""
    setting = _needs_torch(config)
    if setting and config.engine == GLUON:
        raise ConfigError(
            f"engine: gluon (MXNet) does not have {setting}", f"Give engine=torch, or not {setting}"
        )


def machine_notes(config: Config) -> list[str]:
    """Why train would refuse a configuration on this machine, although others can compute it."""
    notes = []
    if wanted_engine(config) == TORCH and not has_torch():
        setting = _needs_torch(config) or "engine=torch"
        notes.append(f"{setting} needs PyTorch, which is not installed. {INSTALL_HINT}")
    if config.precision in GPUS_ONLY and not compute_capabilities():
        notes.append(f"precision={config.precision} needs a GPU, and this machine has none")
    return notes


def resolve_engine(
    config: Config, shown: int, contexts: Sequence[Any], resuming: bool = False
) -> Config:
    """The configuration with a framework in place of ``auto``.

    ``shown`` is the number of images of all steps of the training.

    On GPUs and in a precision that PyTorch alone can use it is PyTorch. Otherwise it is MXNet,
    except for trainings on the CPU of networks that PyTorch is known to train faster, where it is
    installed; that is logged. Runs that do not name their engine were begun by MXNet.
    """
    if framework_of_devices(contexts) == TORCH or wanted_engine(config) == TORCH:
        return config.changed({"engine": TORCH})
    if resuming or contexts[0].device_type != "cpu" or not prefers_torch(config, shown):
        return config.changed({"engine": GLUON})
    log.info(
        "engine torch: PyTorch trains %s faster than MXNet; engine=gluon keeps MXNet",
        config.model.name,
    )
    return config.changed({"engine": TORCH})


def prefers_torch(config: Config, shown: int) -> bool:
    """Whether PyTorch is faster for a new training of engine ``auto`` on the CPU.

    ``shown`` is the number of images of all its steps.
    """
    # Images of 224 pixels that take as long.
    equivalent = shown * (config.data.crop / SIDE) ** 2
    return (
        config.engine == AUTO
        and config.precision == "float32"
        and equivalent >= FEWEST_IMAGES_PER_THREAD * compute_threads()
        and faster_on_cpu(config.model.name) == TORCH
    )


def faster_on_cpu(network: str) -> str:
    """The framework that trains a network faster on CPUs, of those that are installed."""
    return TORCH if FASTER_WITH_TORCH.search(network) and has_torch() else GLUON
