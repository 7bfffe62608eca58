"""The machine: card, driver, versions, cores."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import subprocess

from gpu_check.worker import Context

OTHERS = ("numpy", "cv2", "PIL", "pydantic", "yaml", "torchvision", "triton")


def run(context: Context) -> None:
    """Add a row per fact."""
    from fashionai.frameworks.torch import import_torch
    from fashionai.runtime import processor_name, usable_cores

    torch = import_torch()
    context.add("Python", platform.python_version())
    context.add("PyTorch", torch.__version__)
    for name in OTHERS:
        context.add(name, _version(name))
    context.add("cores", usable_cores(), note=processor_name())
    context.add("C++ compiler", shutil.which(os.environ.get("CXX", "g++")) or "none")
    (device,) = context.devices()
    if not context.on_gpu:
        context.add("card", processor_name(), note="no GPU is used")
        return
    properties = torch.cuda.get_device_properties(device.device_id)
    context.add("card", properties.name)
    context.add("compute capability", f"{properties.major}.{properties.minor}")
    context.add("memory", round(properties.total_memory / 1e9, 1), "GB")
    context.add("multiprocessors", properties.multi_processor_count)
    context.add("driver", _driver())
    context.add("CUDA", torch.version.cuda)
    context.add("cuDNN", torch.backends.cudnn.version())


def _version(name: str) -> str:
    try:
        module = importlib.import_module(name)
    except ImportError:
        return "not installed"
    return str(getattr(module, "__version__", "installed"))


def _driver() -> str:
    if shutil.which("nvidia-smi") is None:
        return "unknown"
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else "unknown"
