"""What setup.sh installs for the GPUs of a machine: which build of MXNet, and PyTorch."""

from __future__ import annotations

import re

import pytest
from packaging.specifiers import SpecifierSet

from tests.scripts.setup.project import TORCH, Project
from tests.support.commands import ROOT


@pytest.mark.parametrize(
    ("capabilities", "extras", "told"),
    [
        ([], "cpu", "MXNet for the CPU"),
        (["5.2"], "gpu", "MXNet for the GPU, 2.3 GB to download"),
        (["8.0", "8.9"], "gpu", "MXNet for the GPU, 2.3 GB to download"),
        (["9.0"], "cpu,torch", "MXNet for the CPU, PyTorch 2.13.0 with up to 4 GB to download"),
        (["12.0"], "cpu,torch", "MXNet for the CPU, PyTorch 2.13.0 with up to 4 GB to download"),
        # PyTorch can use both, MXNet one of them.
        (["10.0", "8.0"], "cpu,torch", "MXNet for the CPU, PyTorch 2.13.0 with up to 4 GB"),
    ],
)
def test_the_gpus_decide_what_is_installed(
    project: Project, capabilities: list[str], extras: str, told: str
) -> None:
    if capabilities:
        project.have_gpus(*capabilities)
    finished = project.setup()
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.startswith(f"Installing fashionai in .venv (Python 3.11, {told}")
    assert project.notes() == [project.install(extras)]
    assert project.setup().stdout == ""
    assert project.notes() == []


@pytest.mark.parametrize(
    ("told", "extras"), [("8.6\n", "gpu"), ("7.5\n9.0\n", "cpu,torch"), ("", "gpu")]
)
def test_the_library_of_the_driver_is_asked_where_nvidia_smi_cannot_tell(
    project: Project, told: str, extras: str
) -> None:
    project.have_gpus()
    (project.home / "LIBRARY_SAYS").write_text(told)
    finished = project.setup()
    assert project.notes() == [project.install(extras)]
    hint = (
        "There is an NVIDIA driver but it finds no GPU; for GPUs of compute capability 9.0 and "
        "later (H100, RTX 50) run: scripts/setup.sh --torch"
    )
    assert (finished.stdout.splitlines()[0] == hint) == (told == "")


def test_a_driver_without_nvidia_smi(project: Project) -> None:
    project.write_program("ldconfig", "#!/bin/sh\necho libcuda.so.1\n")
    (project.home / "LIBRARY_SAYS").write_text("9.0\n")
    project.setup()
    assert project.notes() == [project.install("cpu,torch")]


@pytest.mark.parametrize(
    ("arguments", "extras"),
    [
        (["--cpu"], "cpu"),
        (["--gpu"], "gpu"),
        (["--no-torch"], "cpu"),
        (["--torch"], "cpu,torch"),
        (["--cpu", "--torch"], "cpu,torch"),
    ],
)
def test_arguments_overrule_the_gpus(project: Project, arguments: list[str], extras: str) -> None:
    project.have_gpus("9.0")
    project.setup(*arguments)
    assert project.notes() == [project.install(extras)]


@pytest.mark.parametrize("gpus", [[], ["8.0"]])
def test_torch_is_added_anywhere(project: Project, gpus: list[str]) -> None:
    if gpus:
        project.have_gpus(*gpus)
    project.setup("--torch")
    assert project.notes() == [project.install("cpu,torch")]


def test_torch_is_remembered(project: Project) -> None:
    project.setup("--cpu", "--torch")
    for arguments in ([], ["--cpu"], ["--no-torch"], ["--torch"]):
        assert project.setup(*arguments).stdout == ""
    project.setup("--dev", "--no-torch")
    assert project.notes() == [project.install("cpu,torch"), project.install("cpu,dev,torch")]


def test_the_tests_can_do_without_torch(project: Project) -> None:
    project.setup("--cpu", "--dev", "--no-torch")
    assert project.setup().stdout == ""
    assert project.setup("--dev", "--no-torch").stdout == ""
    project.setup("--dev")
    assert project.notes() == [project.install("cpu,dev"), project.install("cpu,dev,torch")]


@pytest.mark.parametrize(
    ("python", "driver", "version"),
    [
        ("3.9", "580.65.06", "2.8.0"),
        ("3.10", "580.65.06", TORCH),
        ("3.11", "535.161.08", "2.8.0"),
        ("3.12", "1000.1", TORCH),
        ("3.12", "", TORCH),
    ],
)
def test_the_version_of_torch(project: Project, python: str, driver: str, version: str) -> None:
    """The index's builds of 2.13.0 have CUDA 13, which needs a driver of 580 or later."""
    (project.home / "VERSION").write_text(f"{python}\n")
    (project.home / "DRIVER").write_text(f"{driver}\n")
    project.have_gpus("9.0")
    project.setup()
    assert project.notes() == [project.install("cpu,torch", version)]
    assert project.setup("--torch").stdout == ""


def test_another_version_of_torch_is_installed_when_setup_names_it(project: Project) -> None:
    project.setup("--cpu", "--torch")
    script = project.root / "scripts/setup.sh"
    script.write_text(script.read_text().replace(f"torch_version={TORCH}", "torch_version=2.13.1"))
    project.setup()
    assert project.notes() == [
        project.install("cpu,torch"),
        project.install("cpu,torch", "2.13.1"),
    ]


def test_the_gpu_build_replaces_torch_and_its_libraries(project: Project) -> None:
    """Both have libnccl.so.2 in the folder nvidia/nccl/lib."""
    project.setup("--cpu", "--torch")
    installed = ["mxnet", "torch", "triton", "nvidia-nccl-cu13", "nvidia-cublas", "cuda-bindings"]
    (project.home / "INSTALLED").write_text("\n".join([*installed, "numpy", "torchtune"]) + "\n")
    project.setup("--gpu", "--dev")
    assert project.notes() == [
        project.install("cpu,torch"),
        "uninstall -y mxnet mxnet-cu112 torch triton nvidia-nccl-cu13 nvidia-cublas cuda-bindings",
        project.install("gpu,dev"),
    ]


def test_torch_replaces_the_gpu_build(project: Project) -> None:
    project.setup("--gpu")
    (project.home / "INSTALLED").write_text("mxnet-cu112\nnvidia-nccl-cu11\nnumpy\n")
    project.setup("--torch")
    assert project.notes() == [
        project.install("gpu"),
        "uninstall -y mxnet mxnet-cu112 nvidia-nccl-cu11",
        project.install("cpu,torch"),
    ]


def test_an_installation_from_before_torch_was_known(project: Project) -> None:
    """Its stamp lacks the last line."""
    project.setup("--cpu", "--dev", "--no-torch")
    stamp = project.root / ".venv/fashionai-setup"
    stamp.write_text("".join(stamp.read_text().splitlines(keepends=True)[:5]))
    project.setup()
    project.setup("--dev")
    assert project.notes() == [
        project.install("cpu,dev"),
        project.install("cpu,dev"),
        project.install("cpu,dev,torch"),
    ]


def test_the_pinned_versions_are_those_of_the_extra() -> None:
    extra = re.search(r'^torch = \["torch(.*)"\]$', (ROOT / "pyproject.toml").read_text(), re.M)
    pinned = re.findall(r"torch_version=(.*)", (ROOT / "scripts/setup.sh").read_text())
    assert extra is not None
    assert pinned == [TORCH, "2.8.0"]
    assert all(SpecifierSet(extra[1]).contains(version) for version in pinned)
