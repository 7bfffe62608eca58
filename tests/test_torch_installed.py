"""PyTorch and MXNet in one process, with the real packages."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

IMPORT = {
    "torch": "import torch",
    "mxnet": "from fashionai.frameworks.mxnet import import_gluoncv; import_gluoncv()",
}
COMPUTE = """
import numpy
import torch
from fashionai.models.zoo import build_network, network_names
from fashionai.frameworks.mxnet import import_mxnet

mx = import_mxnet()
assert "cifar_resnet20_v1" in network_names()
network = build_network("cifar_resnet20_v1", 3, 32)
network.initialize()
assert network(mx.nd.ones((2, 3, 32, 32))).shape == (2, 3)

numbers = numpy.random.default_rng(1).normal(size=(300, 300)).astype("float32")
product = torch.from_numpy(numbers) @ torch.from_numpy(numbers)
expected = mx.nd.dot(mx.nd.array(numbers), mx.nd.array(numbers)).asnumpy()
print(numpy.abs(product.numpy() - expected).max() < 1e-3)

weights = torch.ones(3, requires_grad=True)
(weights**2).sum().backward()
print(weights.grad.tolist())
"""


def run(program: str) -> list[str]:
    """The lines that a program prints in a new process."""
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.splitlines()


@pytest.mark.parametrize("first", IMPORT)
def test_both_compute_whichever_is_imported_first(first: str) -> None:
    second = next(name for name in IMPORT if name != first)
    printed = run("\n".join([IMPORT[first], IMPORT[second], COMPUTE]))
    assert printed == ["True", "[2.0, 2.0, 2.0]"]


def test_importing_gluoncv_does_not_import_torch() -> None:
    printed = run(f"{IMPORT['mxnet']}; import sys; print('torch' in sys.modules)")
    assert printed == ["False"]


def test_importing_torch_does_not_import_mxnet() -> None:
    program = f"{IMPORT['torch']}; import sys, fashionai; print('mxnet' in sys.modules)"
    assert run(program) == ["False"]
