"""The import of MXNet and GluonCV, and MXNet's devices.

MXNet 1.9.1 is the last release. It reads names that NumPy has removed, uses half of
the cores by default, and its CUDA build needs libraries that the ``nvidia-*-cu11``
wheels contain. All of this must be prepared before the import. Therefore every
module that needs MXNet gets it from :func:`import_mxnet`, and GluonCV from
:func:`import_gluoncv`.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import importlib.metadata
import os
import re
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fashionai.errors import InstallationError, first_line
from fashionai.frameworks.devices import Device, chosen_gpus
from fashionai.frameworks.driver import LIBRARY, compute_capabilities
from fashionai.runtime import THREADS_VARIABLE, usable_cores

# MXNet 1.9.1 reads these names at its import. NumPy 1.24 removed them.
NUMPY_ALIASES = {
    "bool": bool,
    "int": int,
    "float": float,
    "object": object,
    "complex": complex,
    "str": str,
}

# Optional dependencies of parts of MXNet that this package does not use: the estimator interface,
# the conversion of sparse matrices, and histograms in its test tools. Importing them takes two
# thirds of the time of MXNet's import.
HIDDEN_FROM_MXNET = ("sklearn", "scipy")

# GluonCV refuses PyTorch 2 at its import. Its PyTorch half is not used here.
HIDDEN_FROM_GLUONCV = ("torch",)

# mxnet-cu112 1.9.1 contains code for compute capability 5.0, 6.0, 7.0, 8.0 and 8.6, and no PTX.
# Such code also runs on later minor versions of the same major version, but not on others.
OLDEST_COMPUTE_CAPABILITY = (5, 0)

FIRST_UNSUPPORTED_COMPUTE_CAPABILITY = (9, 0)

# The libraries in the nvidia-*-cu11 wheels that libmxnet.so of mxnet-cu112 needs, each after its
# own dependencies. Other libraries in the wheels must not be loaded: libnvblas.so.11 would replace
# MXNet's OpenBLAS and abort at the first linear algebra on the CPU.
CUDA_LIBRARIES = (
    "cuda_runtime/lib/libcudart.so.11.0",
    "cuda_nvrtc/lib/libnvrtc.so.11.2",
    "nvtx/lib/libnvToolsExt.so.1",
    "cublas/lib/libcublasLt.so.11",
    "cublas/lib/libcublas.so.11",
    "cufft/lib/libcufft.so.10",
    "curand/lib/libcurand.so.10",
    "cusolver/lib/libcusolver.so.11",
    "cudnn/lib/libcudnn.so.8",  # loads its parts from its own folder
    "nccl/lib/libnccl.so.2",
)


@functools.cache
def import_mxnet() -> Any:
    """Prepare the process for MXNet, import it, and return the module.

    Raises the errors of prepare_process, and InstallationError if MXNet does not load.
    """
    build = prepare_process()
    try:
        with _hidden_modules(HIDDEN_FROM_MXNET):
            return importlib.import_module("mxnet")
    except (ImportError, OSError) as error:
        raise InstallationError(
            f"{build} is installed but does not load: {first_line(error)}",
            "Run ./scripts/setup.sh, or ./scripts/setup.sh --cpu on a machine without a GPU",
        ) from error


def prepare_process() -> str:
    """Make the import of MXNet work in this process; returns the name of the installed build.

    Raises InstallationError if no build or more than one is installed, if NumPy is
    too new, or if a library that the build needs cannot be loaded.
    """
    build = _installed_build()
    _check_numpy()
    os.environ.setdefault(THREADS_VARIABLE, str(usable_cores()))
    # By default MXNet prints a line for every graph that it fuses.
    os.environ.setdefault("MXNET_SUBGRAPH_VERBOSE", "0")
    if build != "mxnet":
        _load_driver()
        _load_cuda_wheels()
    return build


@functools.cache
def import_gluoncv() -> Any:
    """Import GluonCV, whichever version of PyTorch is installed beside it, and return the module.

    Raises the errors of import_mxnet.
    """
    import_mxnet()
    with _hidden_modules(HIDDEN_FROM_GLUONCV, imported_ones=True):
        return importlib.import_module("gluoncv")


def has_gpu_build() -> bool:
    """Whether the installed MXNet computes on GPUs. Raises InstallationError without MXNet."""
    return _installed_build() != "mxnet"


def contexts(device: str = "auto", gpus: Sequence[int] = ()) -> list[Any]:
    """The MXNet contexts to compute on, one per device.

    ``device`` is ``auto`` (GPUs if there are any, else the CPU), ``cpu`` or ``gpu``; ``gpus``
    are indices of GPUs, all by default. Raises InstallationError for a GPU that does not exist
    or that the installed MXNet has no code for, and the errors of import_mxnet.
    """
    mx = import_mxnet()
    available = 0 if device == "cpu" else mx.context.num_gpus()
    hint = "install the GPU build with ./scripts/setup.sh --gpu"
    # The build is looked up for an error alone, among all installed packages.
    chosen = chosen_gpus(device, gpus, available, lambda: f"MXNet ({_installed_build()})", hint)
    if chosen is None:
        return [mx.cpu()]
    check_compute_capability(chosen, compute_capabilities())
    return [mx.gpu(index) for index in chosen]


def own_contexts(devices: Sequence[Any]) -> list[Any]:
    """MXNet's contexts as they are, and its CPU in place of PyTorch's devices."""
    if isinstance(devices[0], Device):
        return [import_mxnet().cpu()]
    return list(devices)


def check_compute_capability(gpus: Sequence[int], capabilities: Sequence[tuple[int, int]]) -> None:
    """Raise InstallationError for the first of the GPUs that mxnet-cu112 has no code for."""
    for index in gpus:
        major, minor = capabilities[index]
        if not OLDEST_COMPUTE_CAPABILITY <= (major, minor) < FIRST_UNSUPPORTED_COMPUTE_CAPABILITY:
            raise InstallationError(
                f"GPU {index} has compute capability {major}.{minor}, but mxnet-cu112 1.9.1 "
                "supports only 5.0 to 8.x (Maxwell to Ada)",
                "Give --engine torch, another GPU with --gpus, or --device cpu",
            )


def _installed_build() -> str:
    """The name of the installed MXNet distribution. Raises InstallationError unless it is one."""
    names = (dist.metadata["Name"] or "" for dist in importlib.metadata.distributions())
    builds = sorted(
        {name.lower() for name in names if re.fullmatch(r"mxnet(-cu\d+)?", name.lower())}
    )
    if not builds:
        raise InstallationError(
            "MXNet is not installed",
            "Run ./scripts/setup.sh, or pip install 'fashionai[cpu]' ([gpu] with an NVIDIA GPU)",
        )
    if len(builds) > 1:
        raise InstallationError(
            f"{' and '.join(builds)} are both installed and overwrite each other's files",
            f"Run: pip uninstall -y {' '.join(builds)}, then ./scripts/setup.sh",
        )
    return builds[0]


def _check_numpy() -> None:
    """Raise InstallationError for NumPy 2; add the names that MXNet reads to NumPy 1."""
    numpy = importlib.import_module("numpy")
    if int(numpy.__version__.split(".")[0]) >= 2:
        raise InstallationError(
            f"NumPy {numpy.__version__} is installed, but MXNet 1.9.1 needs NumPy 1",
            "Run: pip install 'numpy<2'",
        )
    for name, builtin in NUMPY_ALIASES.items():
        if name not in vars(numpy):
            setattr(numpy, name, builtin)


@contextlib.contextmanager
def _hidden_modules(names: Sequence[str], imported_ones: bool = False) -> Iterator[None]:
    """Make imports of these modules fail in the block.

    Modules that are already imported are hidden as well only with ``imported_ones``.
    """
    present = {name: sys.modules[name] for name in names if name in sys.modules}
    hidden = [name for name in names if imported_ones or name not in present]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
        sys.modules.update(present)


def _load_driver() -> None:
    try:
        ctypes.CDLL(LIBRARY, mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise InstallationError(
            f"the GPU build of MXNet is installed but there is no NVIDIA driver ({error})",
            "Install the driver, or the CPU build with ./scripts/setup.sh --cpu",
        ) from error


def _load_cuda_wheels() -> None:
    """Load the CUDA libraries in the nvidia-*-cu11 wheels before MXNet needs them.

    For a library that is in no wheel, the dynamic linker searches the system.
    """
    root = Path(sysconfig.get_paths()["purelib"]) / "nvidia"
    for name in CUDA_LIBRARIES:
        library = root / name
        if not library.exists():
            continue
        try:
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            raise InstallationError(
                f"{library} does not load: {first_line(error)}",
                "Run ./scripts/setup.sh --gpu again",
            ) from error
