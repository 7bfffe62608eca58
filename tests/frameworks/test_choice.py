"""Which framework computes on which GPUs, and what is said about it."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from fashionai.errors import InstallationError
from fashionai.frameworks import choice
from fashionai.frameworks import torch as torch_module
from fashionai.frameworks.choice import Chosen, choose_devices, contexts
from fashionai.frameworks.devices import Device, framework_of_devices
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.frameworks.processes import Place
from tests.support.machines import HOPPER, have_gpus, have_torch, message_of

mx = import_mxnet()
AMPERE, H100 = (8, 0), (9, 0)
TOO_NEW = (
    "GPU 0 has compute capability 9.0, but mxnet-cu112 1.9.1 supports only 5.0 to 8.x "
    "(Maxwell to Ada)"
)


def have(
    monkeypatch: pytest.MonkeyPatch,
    gpus: list[tuple[int, int]],
    *,
    gpu_build: bool,
    torch: bool,
    torch_sees: bool = True,
    torch_cuda: Optional[str] = "13.0",
) -> None:
    """A machine with GPUs, a build of MXNet, and PyTorch or not."""
    have_gpus(monkeypatch, *(gpus if gpu_build else []))
    monkeypatch.setattr(choice, "compute_capabilities", lambda: gpus)
    have_torch(monkeypatch, gpus if torch_sees else [], HOPPER, torch_cuda)
    for module in (choice, torch_module):
        monkeypatch.setattr(module, "has_torch", lambda: torch)
    monkeypatch.setattr(choice, "import_torch", choice_torch)


def choice_torch() -> object:
    """The PyTorch that have_torch has put in place."""
    return torch_module.import_torch()


def test_mxnet_has_every_gpu_that_it_can_use(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "fashionai")
    have(monkeypatch, [AMPERE, AMPERE], gpu_build=True, torch=True)
    assert choose_devices() == Chosen("auto", ["gpu(0)", "gpu(1)"])
    assert choose_devices("gluon", "gpu", [1]) == Chosen("gluon", ["gpu(1)"])
    assert choose_devices("torch", "gpu", [1]) == Chosen("torch", [Device("gpu", 1)])
    assert choose_devices("torch", "cpu") == Chosen("torch", [Device("cpu")])
    assert choose_devices(device="cpu") == Chosen("auto", ["cpu(0)"])
    assert not caplog.messages


@pytest.mark.parametrize("gpu_build", [True, False])
def test_pytorch_has_the_gpus_that_it_alone_can_use(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, gpu_build: bool
) -> None:
    caplog.set_level("INFO", "fashionai")
    have(monkeypatch, [H100, H100], gpu_build=gpu_build, torch=True)
    reason = TOO_NEW if gpu_build else "the installed MXNet is a CPU build"
    for arguments in (("auto", "auto"), ("auto", "gpu")):
        caplog.clear()
        expected = Chosen("torch", [Device("gpu", 0), Device("gpu", 1)])
        assert choose_devices(*arguments) == expected
        assert caplog.messages == [f"engine torch: {reason}"]
    assert choose_devices("auto", "auto", [1]).contexts == [Device("gpu", 1)]
    assert contexts() == [Device("gpu", 0), Device("gpu", 1)]
    caplog.clear()
    assert choose_devices("auto", "cpu") == Chosen("auto", ["cpu(0)"])
    assert not caplog.messages


def test_of_two_kinds_of_gpus_the_chosen_one_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    have(monkeypatch, [AMPERE, H100], gpu_build=True, torch=True)
    assert choose_devices("auto", "auto", [0]) == Chosen("auto", ["gpu(0)"])
    assert choose_devices("auto", "auto", [1]) == Chosen("torch", [Device("gpu", 1)])


def test_gpus_that_nothing_can_use_are_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The CPU is taken unless a GPU was asked for; how to use it is said in one line."""
    caplog.set_level("INFO", "fashionai")
    have(monkeypatch, [H100], gpu_build=True, torch=False)
    assert choose_devices() == Chosen("auto", ["cpu(0)"])
    (line,) = caplog.messages
    reason = f"{TOO_NEW}, and PyTorch is not installed. Run ./scripts/setup.sh --torch"
    assert line.startswith(f"no GPU is used: {reason}")
    for arguments in (("auto", "gpu"), ("auto", "auto", [0])):
        with pytest.raises(InstallationError) as error:
            choose_devices(*arguments)
        message = message_of(error)
        assert message.startswith(reason)
        assert message.endswith("or give --device cpu")
    with pytest.raises(InstallationError, match=r"but mxnet-cu112 1\.9\.1 supports only"):
        choose_devices("gluon", "gpu")


CPU_BUILD = "the installed PyTorch 2.9.1 is a CPU build. Install its CUDA build"


@pytest.mark.parametrize(
    ("engine", "torch_cuda", "reason"),
    [
        ("auto", None, f"the installed MXNet is a CPU build, and {CPU_BUILD}"),
        (
            "auto",
            "13.0",
            "the installed MXNet is a CPU build, and PyTorch 2.9.1 finds none with CUDA 13.0. "
            "Check nvidia-smi",
        ),
        ("torch", None, CPU_BUILD),
        ("torch", "12.6", "PyTorch 2.9.1 finds none with CUDA 12.6. Check nvidia-smi"),
        ("gluon", "13.0", "the installed MXNet is a CPU build. Give --engine torch"),
    ],
)
def test_why_a_gpu_is_left_out_is_said(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    engine: str,
    torch_cuda: Optional[str],
    reason: str,
) -> None:
    caplog.set_level("INFO", "fashionai")
    options: dict[str, Any] = {
        "gpu_build": False,
        "torch": True,
        "torch_sees": False,
        "torch_cuda": torch_cuda,
    }
    have(monkeypatch, [AMPERE], **options)
    (device,) = choose_devices(engine).contexts
    assert str(device) == "cpu(0)"
    (line,) = caplog.messages
    assert line.startswith(f"no GPU is used: {reason}")
    caplog.clear()
    choose_devices(engine, "cpu")
    assert not caplog.messages
    if engine == "auto":
        with pytest.raises(InstallationError) as error:
            choose_devices(engine, "gpu")
        assert message_of(error).startswith(reason)


def test_a_gpu_build_that_finds_no_gpu(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "fashionai")
    have(monkeypatch, [AMPERE], gpu_build=True, torch=True)
    choice.mxnet.import_mxnet().context.num_gpus = lambda: 0
    assert choose_devices() == Chosen("torch", [Device("gpu", 0)])
    assert choose_devices("gluon") == Chosen("gluon", ["cpu(0)"])
    reason = "the installed MXNet finds no GPU"
    assert caplog.messages[0] == f"engine torch: {reason}"
    assert caplog.messages[1].startswith(f"no GPU is used: {reason}. Give --engine torch")


def test_without_gpus_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "fashionai")
    have(monkeypatch, [], gpu_build=False, torch=True)
    assert choose_devices() == Chosen("auto", ["cpu(0)"])
    assert not caplog.messages
    with pytest.raises(InstallationError, match=r"^a GPU was requested, but MXNet \(mxnet\) finds"):
        choose_devices("auto", "gpu")


def test_the_framework_of_devices() -> None:
    assert framework_of_devices([Device("gpu", 1)]) == "torch"
    for devices in ([Device("cpu")], [mx.cpu()], [mx.gpu(0)]):
        assert framework_of_devices(devices) == "gluon"


def test_the_only_gpu_that_slurm_shows_a_task_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    place, alone = Place(5, 8, 1), [Device("gpu", 0)]
    with pytest.raises(InstallationError, match="has 1 GPU, and this is its process 2"):
        choice._share_of(place, alone)
    monkeypatch.setenv("SLURM_LOCALID", "1")
    assert choice._share_of(place, alone) == Device("gpu", 0)
    assert choice._share_of(place, [*alone, Device("gpu", 1)]) == Device("gpu", 1)
