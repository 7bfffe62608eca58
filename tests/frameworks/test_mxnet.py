"""How MXNet is found, set up and given its devices."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import numpy
import pytest

from fashionai.errors import InstallationError
from fashionai.frameworks import mxnet
from tests.support.machines import have_gpus, install, message_of, run_python

ROOT = Path(__file__).parents[2]

# Stands in for the real package and tells what the environment was when it was imported.
FAKE_MXNET = "import os\nprint(os.environ.get('OMP_NUM_THREADS'))\n"
IMPORT_MXNET = "from fashionai.frameworks.mxnet import import_mxnet; import_mxnet()"


def cores() -> str:
    """The number of usable cores as coreutils counts them."""
    environment = {name: value for name, value in os.environ.items() if "OMP_" not in name}
    return subprocess.check_output(["nproc"], env=environment, text=True).strip()


@pytest.fixture
def fake_mxnet(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH in which ``import mxnet`` finds FAKE_MXNET."""
    (tmp_path / "mxnet.py").write_text(FAKE_MXNET)
    return tmp_path


# The installed build


def test_no_build_of_mxnet(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "numpy", "mxnet-model-server", "gluoncv")
    with pytest.raises(InstallationError) as error:
        mxnet.import_mxnet.__wrapped__()
    assert message_of(error) == (
        "MXNet is not installed. Run ./scripts/setup.sh, or pip install 'fashionai[cpu]' "
        "([gpu] with an NVIDIA GPU)"
    )


def test_two_builds_of_mxnet(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "numpy", "mxnet-cu112", "MXNet")
    with pytest.raises(InstallationError) as error:
        mxnet.import_mxnet.__wrapped__()
    assert message_of(error) == (
        "mxnet and mxnet-cu112 are both installed and overwrite each other's files. "
        "Run: pip uninstall -y mxnet mxnet-cu112, then ./scripts/setup.sh"
    )


def test_numpy_2_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "mxnet")
    monkeypatch.setattr(numpy, "__version__", "2.1.0")
    with pytest.raises(InstallationError) as error:
        mxnet.import_mxnet.__wrapped__()
    assert message_of(error) == (
        "NumPy 2.1.0 is installed, but MXNet 1.9.1 needs NumPy 1. Run: pip install 'numpy<2'"
    )


def test_a_library_that_mxnet_lacks_is_named(tmp_path: Path) -> None:
    lacking = "libgomp.so.1: cannot open shared object file: No such file or directory"
    (tmp_path / "mxnet.py").write_text(f"raise OSError({lacking!r})\n")
    program = f"""
from fashionai.errors import InstallationError
try:
    {IMPORT_MXNET}
except InstallationError as error:
    print(error)
"""
    printed = run_python(program, PYTHONPATH=str(tmp_path))
    assert f"is installed but does not load: {lacking}. Run ./scripts/setup.sh" in printed
    assert "\n" not in printed


# What is settled before the import


def test_mxnet_works_and_uses_every_core() -> None:
    program = """
import ctypes
import numpy
from fashionai.frameworks.mxnet import import_mxnet
mx = import_mxnet()
print(numpy.bool is bool, numpy.int is int, numpy.float is float, numpy.object is object,
      numpy.complex is complex, numpy.str is str)
print(mx.nd.array([1, 2, 3]).sum().asscalar())
print(ctypes.CDLL("libgomp.so.1").omp_get_max_threads())
"""
    aliases, total, threads = run_python(program).splitlines()
    assert aliases == "True True True True True True"
    assert float(total) == 6
    assert threads == cores()


def test_numpy_names_that_exist_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = object()
    monkeypatch.setitem(vars(numpy), "bool", kept)
    mxnet._check_numpy()
    assert vars(numpy)["bool"] is kept


def test_threads_are_set_to_the_cores_before_the_import(fake_mxnet: Path) -> None:
    assert run_python(IMPORT_MXNET, PYTHONPATH=str(fake_mxnet)) == cores()


def test_threads_of_a_process_that_may_use_one_core(fake_mxnet: Path) -> None:
    one_core = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); "
    assert run_python(one_core + IMPORT_MXNET, PYTHONPATH=str(fake_mxnet)) == "1"


def test_threads_that_the_user_set_stay(fake_mxnet: Path) -> None:
    printed = run_python(IMPORT_MXNET, PYTHONPATH=str(fake_mxnet), OMP_NUM_THREADS="3")
    assert printed == "3"


def test_importing_fashionai_does_not_import_mxnet() -> None:
    program = "import sys, fashionai, fashionai.runtime; print('mxnet' in sys.modules)"
    assert run_python(program) == "False"


# PyTorch beside it


@pytest.fixture
def fake_torch(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH in which ``import torch`` finds a version that GluonCV refuses."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/__init__.py").write_text("__version__ = '2.14.0'\n")
    return tmp_path


BUILD_A_NETWORK_OF_GLUONCV = """
from fashionai.models.zoo import build_network, network_names
print("cifar_resnet20_v1" in network_names())
print(type(build_network("cifar_resnet20_v1", 3, 32)).__name__)
import torch
print(torch.__version__)
"""


@pytest.mark.parametrize("first", ["", "import torch"], ids=["unused", "imported"])
def test_gluoncv_does_not_notice_pytorch_2(fake_torch: Path, first: str) -> None:
    """PyTorch itself stays as it was: scripts may use both."""
    printed = run_python(f"{first}\n{BUILD_A_NETWORK_OF_GLUONCV}", PYTHONPATH=str(fake_torch))
    assert printed.splitlines() == ["True", "CIFARResNetV1", "2.14.0"]


def test_commands_do_not_notice_pytorch_2(fake_torch: Path) -> None:
    program = "from fashionai.cli import main; main(['models', 'cifar_resnet20_v1'])"
    assert "cifar_resnet20_v1" in run_python(program, PYTHONPATH=str(fake_torch))


# The GPU build's libraries


def test_gpu_build_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_library(name: str, mode: int = 0) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    install(monkeypatch, "mxnet-cu112")
    monkeypatch.setattr(ctypes, "CDLL", no_library)
    with pytest.raises(InstallationError) as error:
        mxnet.import_mxnet.__wrapped__()
    assert message_of(error) == (
        "the GPU build of MXNet is installed but there is no NVIDIA driver "
        "(libcuda.so.1: cannot open shared object file). "
        "Install the driver, or the CPU build with ./scripts/setup.sh --cpu"
    )


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site-packages folder with the files that the CUDA wheels put there, all empty."""
    for name in (
        "cublas/lib/libcublas.so.11",
        "cublas/lib/libcublasLt.so.11",
        "cublas/lib/libnvblas.so.11",
        "cuda_runtime/lib/libOpenCL.so.1",
        "cuda_runtime/lib/libcudart.so.11.0",
        "cudnn/lib/libcudnn.so.8",
        "cudnn/lib/libcudnn_ops_infer.so.8",
    ):
        library = tmp_path / "nvidia" / name
        library.parent.mkdir(parents=True, exist_ok=True)
        library.touch()
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"purelib": str(tmp_path)})
    return tmp_path / "nvidia"


def test_only_what_mxnet_links_to_is_loaded(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NVBLAS above all must not be: it aborts at the first linear algebra on the CPU."""
    loaded: list[str] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda name, mode: loaded.append(Path(name).name))
    mxnet._load_cuda_wheels()
    assert loaded == [
        "libcudart.so.11.0",
        "libcublasLt.so.11",
        "libcublas.so.11",
        "libcudnn.so.8",
    ]


def test_a_cuda_library_that_is_broken(wheels: Path) -> None:
    with pytest.raises(InstallationError) as error:
        mxnet._load_cuda_wheels()
    library = wheels / "cuda_runtime/lib/libcudart.so.11.0"
    assert message_of(error).startswith(f"{library} does not load: ")
    assert message_of(error).endswith(". Run ./scripts/setup.sh --gpu again")


def test_the_gpu_extra_brings_every_library() -> None:
    extra = (ROOT / "pyproject.toml").read_text()
    for library in mxnet.CUDA_LIBRARIES:
        wheel = library.split("/")[0].replace("_", "-")
        assert f'"nvidia-{wheel}-cu11==' in extra


# Devices


class FakeDriver:
    """As much of libcuda.so.1 as answers for compute capabilities.

    The numbers of the attributes are those of CUdevice_attribute in NVIDIA's cuda.h.
    """

    def __init__(self, *capabilities: tuple[int, int]) -> None:
        self.capabilities = capabilities
        self.initialized = False

    def cuInit(self, flags: int) -> int:  # noqa: N802
        self.initialized = flags == 0
        return 0

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        assert self.initialized
        count._obj.value = len(self.capabilities)
        return 0

    def cuDeviceGet(self, device: Any, ordinal: int) -> int:  # noqa: N802
        device._obj.value = 40 + ordinal  # a handle, not the index
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> int:  # noqa: N802
        value._obj.value = self.capabilities[device.value - 40][{75: 0, 76: 1}[attribute]]
        return 0


@pytest.mark.parametrize("capabilities", [[], [(8, 6)], [(7, 5), (5, 0), (9, 0)]])
def test_compute_capabilities(capabilities: list[tuple[int, int]]) -> None:
    assert mxnet.compute_capabilities(FakeDriver(*capabilities)) == capabilities


@pytest.mark.parametrize("capability", [(5, 0), (6, 1), (7, 5), (8, 6), (8, 9)])
def test_gpus_that_mxnet_holds_code_for(
    capability: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    have_gpus(monkeypatch, capability)
    assert mxnet.contexts("gpu") == ["gpu(0)"]


@pytest.mark.parametrize("capability", [(3, 5), (9, 0), (10, 0), (12, 0)])
def test_gpus_that_mxnet_holds_no_code_for(
    capability: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    have_gpus(monkeypatch, (8, 0), capability)
    with pytest.raises(InstallationError) as error:
        mxnet.contexts("gpu")
    major, minor = capability
    assert message_of(error) == (
        f"GPU 1 has compute capability {major}.{minor}, but mxnet-cu112 1.9.1 supports only 5.0 "
        "to 8.x (Maxwell to Ada). Give --engine torch, another GPU with --gpus, or --device cpu"
    )
    assert mxnet.contexts("gpu", gpus=[0]) == ["gpu(0)"]


def test_auto_takes_every_gpu_or_else_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    have_gpus(monkeypatch, (8, 0), (8, 0))
    assert mxnet.contexts() == ["gpu(0)", "gpu(1)"]
    assert mxnet.contexts(gpus=[1]) == ["gpu(1)"]
    assert mxnet.contexts("cpu") == ["cpu(0)"]
    have_gpus(monkeypatch)
    assert mxnet.contexts() == ["cpu(0)"]


@pytest.mark.parametrize(
    ("gpus", "asked"), [([], "a GPU was requested"), ([1], "GPU 1 was requested")]
)
def test_a_gpu_that_is_not_there(
    gpus: list[int], asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    have_gpus(monkeypatch)
    with pytest.raises(InstallationError) as error:
        mxnet.contexts("gpu", gpus)
    assert message_of(error) == (
        f"{asked}, but MXNet (mxnet) finds none. Check nvidia-smi, install the GPU build with "
        "./scripts/setup.sh --gpu, or give --device cpu"
    )


def test_gpus_do_not_go_with_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    have_gpus(monkeypatch, (8, 0))
    with pytest.raises(InstallationError) as error:
        mxnet.contexts("cpu", gpus=[0])
    assert message_of(error) == "--gpus and --device cpu exclude each other. Give only one of them"
