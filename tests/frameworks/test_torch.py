"""How PyTorch is found, and given its devices."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fashionai.errors import InstallationError
from fashionai.frameworks import torch as torch_module
from fashionai.frameworks.devices import Device
from fashionai.frameworks.torch import import_torch, torch_devices
from fashionai.runtime import compute_threads
from tests.support.installed import needs_torch
from tests.support.machines import HOPPER, have_torch, message_of, run_python

HINT = "Run ./scripts/setup.sh --torch, or pip install 'fashionai[torch]'"


def refusal(*arguments: Any) -> str:
    with pytest.raises(InstallationError) as error:
        torch_devices(*arguments)
    return message_of(error)


@needs_torch
def test_pytorch_works_with_the_threads_that_mxnet_has() -> None:
    torch = import_torch()
    assert torch.get_num_threads() == compute_threads()
    assert torch_devices("cpu") == [Device("cpu")]
    assert str(Device("cpu")) == "cpu(0)"


def test_importing_fashionai_does_not_import_pytorch() -> None:
    program = (
        "import sys, fashionai, fashionai.cli, fashionai.training.trainer\n"
        "import fashionai.frameworks.choice\n"
        "fashionai.frameworks.choice.choose_devices('gluon', 'cpu')\n"
        "print('torch' in sys.modules)"
    )
    assert run_python(program) == "False"


def test_pytorch_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_module, "has_torch", lambda: False)
    with pytest.raises(InstallationError) as error:
        import_torch.__wrapped__()
    assert message_of(error) == f"PyTorch is not installed. {HINT}"


@pytest.mark.parametrize("version", ["1.13.1", "2.0.0+cu117", "2.6.0a0+git"])
def test_pytorch_is_too_old(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(torch_module, "has_torch", lambda: True)
    fake = SimpleNamespace(__version__=version)
    monkeypatch.setattr(torch_module.importlib, "import_module", lambda name: fake)
    with pytest.raises(InstallationError) as error:
        import_torch.__wrapped__()
    expected = f"PyTorch {version} is installed, expected at least 2.7. {HINT}"
    assert message_of(error) == expected


@pytest.mark.parametrize("version", ["2.7.0", "2.10.0+cpu", "3.0.1"])
def test_later_versions_are_taken(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(torch_module, "has_torch", lambda: True)
    fake = SimpleNamespace(__version__=version, set_num_threads=lambda count: None)
    monkeypatch.setattr(torch_module.importlib, "import_module", lambda name: fake)
    assert import_torch.__wrapped__() is fake


@pytest.mark.parametrize(
    "error", [OSError("libtorch_cpu.so: cannot open"), ImportError("a\nb: undefined symbol")]
)
def test_pytorch_does_not_load(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(name: str) -> None:
        raise error

    monkeypatch.setattr(torch_module, "has_torch", lambda: True)
    monkeypatch.setattr(torch_module.importlib, "import_module", fail)
    with pytest.raises(InstallationError) as caught:
        import_torch.__wrapped__()
    message = message_of(caught)
    assert message.startswith("PyTorch does not load: ")
    assert message.endswith(HINT)


def test_auto_takes_every_gpu_or_else_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    have_torch(monkeypatch, [(9, 0), (9, 0)], HOPPER)
    assert torch_devices() == [Device("gpu", 0), Device("gpu", 1)]
    assert torch_devices("gpu") == torch_devices()
    assert torch_devices("auto", [1]) == [Device("gpu", 1)]
    assert torch_devices("cpu") == [Device("cpu")]
    have_torch(monkeypatch, [], HOPPER)
    assert torch_devices() == [Device("cpu")]


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    have_torch(monkeypatch, [], HOPPER)
    assert refusal("gpu").startswith(
        "a GPU was requested, but PyTorch 2.9.1 finds none. Check nvidia-smi"
    )
    assert refusal("auto", [0]).startswith("GPU 0 was requested, but PyTorch 2.9.1 finds none")
    have_torch(monkeypatch, [(9, 0)], HOPPER)
    assert refusal("auto", [0, 3]).startswith("GPU 3 was requested, but PyTorch 2.9.1 finds 1")
    assert refusal("cpu", [0]) == (
        "--gpus and --device cpu exclude each other. Give only one of them"
    )


@pytest.mark.parametrize(
    ("capability", "built"),
    [
        ((9, 0), ["sm_90"]),
        ((8, 9), ["sm_80", "sm_90"]),  # later minor versions run the same code
        ((12, 0), ["sm_90", "compute_90"]),  # which the driver compiles
        ((9, 0), ["sm_90a"]),
        ((10, 3), ["sm_100", "sm_120"]),
        ((12, 1), ["sm_100f", "sm_120f"]),
    ],
)
def test_gpus_that_pytorch_holds_code_for(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], built: list[str]
) -> None:
    have_torch(monkeypatch, [capability], built)
    assert torch_devices() == [Device("gpu", 0)]


@pytest.mark.parametrize(
    ("capability", "built"),
    [
        ((12, 0), HOPPER),
        ((8, 0), ["sm_86", "sm_90"]),
        ((7, 0), ["sm_75", "sm_80", "compute_90"]),
        ((5, 2), []),
    ],
)
def test_gpus_that_pytorch_holds_no_code_for(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], built: list[str]
) -> None:
    have_torch(monkeypatch, [capability], built)
    major, minor = capability
    message = refusal()
    assert message.startswith(
        f"GPU 0 has compute capability {major}.{minor}, but this build of PyTorch 2.9.1 holds "
    )
    assert "--device cpu" in message
