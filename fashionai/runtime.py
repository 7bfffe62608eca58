"""What the package reads from the environment: variables, cores, folders and addresses."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import resource
import sys
from pathlib import Path

# The quota and the period of the container's CPU time, in microseconds (cgroup v2).
CONTAINER_LIMIT = Path("/sys/fs/cgroup/cpu.max")

# The number of threads that compute, which MXNet reads when it is imported.
THREADS_VARIABLE = "OMP_NUM_THREADS"

# The number of processes on this machine that share its cores, which torchrun sets.
PROCESSES_VARIABLE = "LOCAL_WORLD_SIZE"

DEFAULT_ZOO_URL = "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/"

DEFAULT_TORCHVISION_URL = "https://download.pytorch.org/models/"


def usable_cores() -> int:
    """The number of cores that this process may use, within limits of taskset and containers.

    Processes that torchrun has started on one machine share its cores, as do folds that are trained
    at the same time.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(cores or 1, _container_cores()) // _processes_here())


def compute_threads() -> int:
    """The number of threads that compute: ``$OMP_NUM_THREADS`` if set, else one per usable core."""
    number = os.environ.get(THREADS_VARIABLE, "").split(",")[0]
    is_number = number.isdecimal() and len(number) < 10
    return max(1, int(number)) if is_number else usable_cores()


def processor_name() -> str:
    """The model name of the CPU, from /proc/cpuinfo where it exists."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _processes_here() -> int:
    """The number of processes that share the cores of this machine, at least 1."""
    number = os.environ.get(PROCESSES_VARIABLE, "")
    return max(1, int(number)) if number.isdecimal() and len(number) < 10 else 1


def _container_cores() -> int:
    """The limit of a container's CPU time, rounded up to whole cores."""
    try:
        quota, period = CONTAINER_LIMIT.read_text().split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError):  # no such file, or "max" for no limit
        return sys.maxsize


def peak_memory_gigabytes() -> float:
    """The largest memory that this process has used, in GB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak / 1e9 if sys.platform == "darwin" else peak * 1024 / 1e9


def zoo_cache_folder() -> Path:
    """The folder in which MXNet stores the weights of its zoo: ``$MXNET_HOME/models``."""
    return _expand(os.environ.get("MXNET_HOME") or "~/.mxnet") / "models"


def zoo_url() -> str:
    """The URL of the zoo's weights, ending in a slash: ``$MXNET_GLUON_REPO`` if set."""
    return (os.environ.get("MXNET_GLUON_REPO") or DEFAULT_ZOO_URL).rstrip("/") + "/"


def has_zoo_mirror() -> bool:
    """Whether a mirror of the zoo's weights is set; the zoo's own hosts do not answer."""
    return bool(os.environ.get("MXNET_GLUON_REPO"))


def hub_url() -> str:
    """The URL of the Hugging Face hub, ending in a slash: ``$HF_ENDPOINT`` if set."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/") + "/"


def torchvision_url() -> str:
    """The URL of torchvision's weights: ``$FASHIONAI_TORCHVISION_URL`` if set; ends in a slash."""
    url = os.environ.get("FASHIONAI_TORCHVISION_URL") or DEFAULT_TORCHVISION_URL
    return url.rstrip("/") + "/"


def home_folder() -> Path:
    """The folder of caches: ``$FASHIONAI_HOME``, else ``fashionai`` in the user's cache folder.

    Everything in it can be downloaded or computed again.
    """
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return _expand(os.environ.get("FASHIONAI_HOME") or f"{caches}/fashionai")


def _expand(path: str) -> Path:
    """The path with ~ replaced by the home folder.

    Users of containers may have neither $HOME nor an entry in the list of users. Their
    home folder is /, as Docker sets it. ~name of an unknown user is not replaced.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:  # the home folder is not known
        return Path("/", path[2:]) if path == "~" or path.startswith("~/") else Path(path)


def weights_folder() -> Path:
    """The folder of pretrained weights, below home_folder."""
    return home_folder() / "weights"
