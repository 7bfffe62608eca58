"""How this machine runs MXNet: the only module that imports it.

MXNet 1.9.1 is the last release. It asks for names that NumPy dropped, uses half
of the cores unless told otherwise, and its CUDA build looks for libraries that
only the ``nvidia-*-cu11`` wheels bring. All of that has to be settled before
the import, so every module that needs MXNet gets it from :func:`import_mxnet`.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import importlib.metadata
import os
import platform
import re
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fashionai.errors import InstallationError

# Removed in NumPy 1.24, still read by MXNet 1.9.1 when it is imported.
NUMPY_ALIASES = {
    "bool": bool,
    "int": int,
    "float": float,
    "object": object,
    "complex": complex,
    "str": str,
}

# MXNet does without these, and imports them for parts that are not used here: its estimator
# interface, conversion of sparse matrices, histograms of its own test tools. They make up
# two thirds of the time of its import.
UNUSED_BY_US = ("sklearn", "scipy")

# mxnet-cu112 1.9.1 holds code for 5.0, 6.0, 7.0, 8.0 and 8.6 and no PTX: code runs on
# later minor versions of its major version, and on nothing else.
OLDEST_COMPUTE_CAPABILITY = (5, 0)
FIRST_UNSUPPORTED_COMPUTE_CAPABILITY = (9, 0)

# What libmxnet.so of mxnet-cu112 names beside the driver, in the nvidia-*-cu11 wheels, each after
# those that it needs itself. Nothing else that lies there may be loaded: libnvblas.so.11 would
# stand before MXNet's own OpenBLAS and abort at the first linear algebra on the CPU.
CUDA_LIBRARIES = (
    "cuda_runtime/lib/libcudart.so.11.0",
    "cuda_nvrtc/lib/libnvrtc.so.11.2",
    "nvtx/lib/libnvToolsExt.so.1",
    "cublas/lib/libcublasLt.so.11",
    "cublas/lib/libcublas.so.11",
    "cufft/lib/libcufft.so.10",
    "curand/lib/libcurand.so.10",
    "cusolver/lib/libcusolver.so.11",
    "cudnn/lib/libcudnn.so.8",  # finds its own parts beside itself
    "nccl/lib/libnccl.so.2",
)

# The quota and the period of the container's processor time, in microseconds (cgroup v2).
CONTAINER_LIMIT = Path("/sys/fs/cgroup/cpu.max")

DEFAULT_ZOO_REPOSITORY = "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/"
DEFAULT_TORCHVISION_ADDRESS = "https://download.pytorch.org/models/"

CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75
CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76


@functools.cache
def import_mxnet() -> Any:
    """The mxnet module, with the machine set up for it.

    Raises InstallationError when no or more than one build is installed, when
    NumPy is too new, or when a library that the build needs does not load.
    """
    build = _installed_build()
    _check_numpy()
    os.environ.setdefault("OMP_NUM_THREADS", str(usable_cores()))
    # MXNet would tell on the terminal of every graph that it fuses.
    os.environ.setdefault("MXNET_SUBGRAPH_VERBOSE", "0")
    if build != "mxnet":
        _load_driver()
        _load_cuda_wheels()
    try:
        with _hidden_modules(UNUSED_BY_US):
            return importlib.import_module("mxnet")
    except (ImportError, OSError) as error:
        raise InstallationError(
            f"{build} is installed but does not load: {error}",
            "Run ./scripts/setup.sh, or ./scripts/setup.sh --cpu on a machine without a GPU",
        ) from error


def usable_cores() -> int:
    """How many cores this process may use; a container's or taskset's limit counts."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(cores or 1, _container_cores()))


def compute_threads() -> int:
    """How many threads compute: ``$OMP_NUM_THREADS`` where set, else one a core."""
    words = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return max(1, int(words)) if words.isdecimal() else usable_cores()


def processor_name() -> str:
    """The model of this machine's processor, as Linux tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _container_cores() -> int:
    """The share of processor time that a container has, in whole cores."""
    try:
        quota, period = CONTAINER_LIMIT.read_text().split()
        return -(-int(quota) // int(period))
    except (OSError, ValueError):  # no such file, or "max"
        return sys.maxsize


def zoo_cache_folder() -> Path:
    """Where MXNet keeps the weights of its zoo: ``$MXNET_HOME/models``."""
    return Path(os.environ.get("MXNET_HOME") or "~/.mxnet").expanduser() / "models"


def zoo_repository() -> str:
    """The address that the zoo's weights are downloaded from: ``$MXNET_GLUON_REPO``."""
    return (os.environ.get("MXNET_GLUON_REPO") or DEFAULT_ZOO_REPOSITORY).rstrip("/") + "/"


def hub_address() -> str:
    """The address of the Hugging Face hub: ``$HF_ENDPOINT`` where set."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/") + "/"


def torchvision_address() -> str:
    """The address of torchvision's weights: ``$FASHIONAI_TORCHVISION_URL`` where set."""
    address = os.environ.get("FASHIONAI_TORCHVISION_URL") or DEFAULT_TORCHVISION_ADDRESS
    return address.rstrip("/") + "/"


def home_folder() -> Path:
    """Where what can be made again is kept: ``$FASHIONAI_HOME``, else the user's cache folder."""
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = Path(os.environ.get("FASHIONAI_HOME") or f"{caches}/fashionai")
    # The home of a user who is not there stays what it says.
    with contextlib.suppress(RuntimeError):
        home = home.expanduser()
    return home


def weights_folder() -> Path:
    """Where pretrained weights are, below home_folder."""
    return home_folder() / "weights"


def contexts(device: str = "auto", gpus: Sequence[int] = ()) -> list[Any]:
    """The MXNet contexts to compute on.

    ``device`` is auto (GPUs when there are any), cpu or gpu; ``gpus`` picks some
    of them by index, all by default. Raises InstallationError for a GPU that is
    not there or that this MXNet holds no code for.
    """
    mx = import_mxnet()
    if device == "cpu":
        if gpus:
            raise InstallationError("--gpus does not go with --device cpu", "Give one of the two")
        return [mx.cpu()]
    available = mx.context.num_gpus()
    if available == 0 and device == "auto" and not gpus:
        return [mx.cpu()]
    chosen = list(gpus) or list(range(available))
    missing = [index for index in chosen if index >= available]
    if missing or not chosen:
        wanted = f"GPU {missing[0]} was asked for" if missing else "a GPU was asked for"
        raise InstallationError(
            f"{wanted} but MXNet ({_installed_build()}) finds {available or 'none'}",
            "Check nvidia-smi, install the GPU build with ./scripts/setup.sh --gpu, "
            "or give --device cpu",
        )
    check_compute_capability(chosen, compute_capabilities())
    return [mx.gpu(index) for index in chosen]


def check_compute_capability(gpus: Sequence[int], capabilities: Sequence[tuple[int, int]]) -> None:
    """Raise InstallationError for the first GPU that mxnet-cu112 holds no code for."""
    for index in gpus:
        major, minor = capabilities[index]
        if not OLDEST_COMPUTE_CAPABILITY <= (major, minor) < FIRST_UNSUPPORTED_COMPUTE_CAPABILITY:
            raise InstallationError(
                f"GPU {index} has compute capability {major}.{minor}, and mxnet-cu112 1.9.1 "
                "holds code for 5.0 to 8.x only (Maxwell to Ada)",
                "Choose another GPU with --gpus, or give --device cpu",
            )


def compute_capabilities(cuda: Any = None) -> list[tuple[int, int]]:
    """Compute capability (major, minor) of every visible GPU, asked of the driver.

    ``cuda`` is the driver's library, libcuda.so.1 by default.
    """
    cuda = cuda or _load_driver()
    cuda.cuInit(0)
    count = ctypes.c_int()
    cuda.cuDeviceGetCount(ctypes.byref(count))
    return [
        (
            _device_attribute(cuda, index, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
            _device_attribute(cuda, index, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR),
        )
        for index in range(count.value)
    ]


def _device_attribute(cuda: Any, index: int, attribute: int) -> int:
    value, device = ctypes.c_int(), ctypes.c_int()
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
    return value.value


def _installed_build() -> str:
    """Name of the one MXNet distribution that is installed."""
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
    """NumPy 2 is refused, and NumPy 1 gets the names back that MXNet reads."""
    numpy = importlib.import_module("numpy")
    if int(numpy.__version__.split(".")[0]) >= 2:
        raise InstallationError(
            f"NumPy {numpy.__version__} is installed, and MXNet 1.9.1 needs NumPy 1",
            "Run: pip install 'numpy<2'",
        )
    for name, builtin in NUMPY_ALIASES.items():
        if name not in vars(numpy):
            setattr(numpy, name, builtin)


@contextlib.contextmanager
def _hidden_modules(names: Sequence[str]) -> Iterator[None]:
    """Let imports of these modules fail, unless they are imported already."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def _load_driver() -> Any:
    try:
        return ctypes.CDLL("libcuda.so.1", mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise InstallationError(
            f"the GPU build of MXNet is installed but there is no NVIDIA driver ({error})",
            "Install the driver, or the CPU build with ./scripts/setup.sh --cpu",
        ) from error


def _load_cuda_wheels() -> None:
    """Load the CUDA libraries of the nvidia-*-cu11 wheels, so that MXNet finds them loaded.

    A library that no wheel brings is left to the system's own loader.
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
                f"{library} does not load: {error}",
                "Run ./scripts/setup.sh --gpu again",
            ) from error
