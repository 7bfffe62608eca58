"""Checks of what is installed, and of the processors and GPUs that it can use."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator, Sequence

import fashionai
from fashionai.doctor.findings import ERROR, OK, WARNING, Finding, of_error
from fashionai.errors import InstallationError
from fashionai.frameworks import mxnet
from fashionai.frameworks.driver import Gpu
from fashionai.frameworks.torch import INSTALL_HINT, check_has_code, has_torch, import_torch
from fashionai.runtime import THREADS_VARIABLE, compute_threads, processor_name, usable_cores

# The packages whose versions matter most, as pip names them.
PACKAGES = ("numpy", "opencv-python", "opencv-python-headless", "mxnet", "mxnet-cu112", "torch")


def check_versions() -> Finding:
    """The versions of Python and of the packages that compute."""
    versions = [f"Python {platform.python_version()}", f"fashionai {fashionai.__version__}"]
    for name in PACKAGES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return Finding("versions", OK, ", ".join(versions))


def check_mxnet() -> Finding:
    """Whether MXNet can be imported: one build of it, and a NumPy that it takes."""
    try:
        build = mxnet.prepare_process()
        mxnet.import_mxnet()
    except InstallationError as error:
        return of_error("mxnet", error)
    return Finding("mxnet", OK, f"{build} can be imported")


def check_threads() -> Finding:
    """Whether training uses all cores."""
    threads, cores = compute_threads(), usable_cores()
    found = f"{threads} of {cores} cores compute ({processor_name()})"
    if threads < cores:
        reason = f"{found}: {THREADS_VARIABLE} is set to {threads}"
        return Finding("threads", WARNING, reason, f"unset {THREADS_VARIABLE}")
    return Finding("threads", OK, found)


def check_gpus(gpus: Sequence[Gpu]) -> Iterator[Finding]:
    """Which engine can use each GPU; GPUs that none can use are not an error, but slow."""
    if not gpus:
        yield Finding("gpus", OK, "no NVIDIA GPU: the CPU computes")
    for index, gpu in enumerate(gpus):
        major, minor = gpu.capability
        found = (
            f"GPU {index}: {gpu.name}, compute capability {major}.{minor}, "
            f"{gpu.memory_gigabytes:.0f} GB"
        )
        engine, problem = _engine_of(index, gpus)
        if engine:
            yield Finding("gpus", OK, f"{found}: engine {engine}")
        else:
            yield Finding("gpus", WARNING, f"{found}: not used: {problem.message}", problem.hint)


def _engine_of(index: int, gpus: Sequence[Gpu]) -> tuple[str, InstallationError]:
    """The engine that computes on a GPU, or no name and why there is none."""
    try:
        if mxnet.has_gpu_build():
            mxnet.check_compute_capability([index], [gpu.capability for gpu in gpus])
            return "gluon", InstallationError("")
    except InstallationError:
        pass  # check_mxnet tells it; PyTorch may do
    if not has_torch():
        return "", InstallationError("PyTorch is not installed", INSTALL_HINT)
    try:
        torch = import_torch()
        if not torch.cuda.is_available():
            built = f"PyTorch {torch.__version__} does not find it"
            return "", InstallationError(built, "Run ./scripts/setup.sh --torch: a CUDA build")
        check_has_code(torch, index)
    except InstallationError as error:
        return "", error
    return "torch", InstallationError("")


def check_device(device: str, gpus: Sequence[int], found: Sequence[Gpu]) -> Iterator[Finding]:
    """Whether the GPUs that the options name are there."""
    wanted = list(gpus) or ([0] if device == "gpu" else [])
    for index in wanted:
        if index >= len(found):
            text = f"GPU {index} was asked for, found {len(found) or 'none'}"
            yield Finding("device", ERROR, text, "nvidia-smi; or give --device cpu")
