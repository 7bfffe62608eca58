"""The focal loss of both frameworks against its formula, with slopes by differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.training.gluon.losses import CrossEntropy
from tests.support.installed import needs_torch

mx = import_mxnet()

COLUMNS = [slice(0, 3), slice(3, 7)]

# Logits and targets to the sum of the losses and its gradient.
Loss = Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]


def gluon_loss(gamma: float) -> Loss:
    loss = CrossEntropy(COLUMNS, gamma)
    loss.hybridize()

    def compute(logits: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
        values = mx.nd.array(logits)
        values.attach_grad()
        with mx.autograd.record():
            total = loss(values, mx.nd.array(targets)).sum()
        total.backward()
        return float(total.asscalar()), values.grad.asnumpy()

    return compute


def torch_loss(gamma: float) -> Loss:
    import torch

    from fashionai.training.torch.steps import StepComputation

    nothing = torch.nn.Identity()
    steps = StepComputation(nothing, nothing, COLUMNS, "float32", gamma)

    def compute(logits: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
        values = torch.tensor(logits, dtype=torch.float32, requires_grad=True)
        wanted = torch.tensor(targets, dtype=torch.float32)
        total, _ = steps(values, wanted, wanted, None)
        total.backward()
        assert values.grad is not None
        return float(total.detach()), values.grad.numpy()

    return compute


LOSSES = [gluon_loss, pytest.param(torch_loss, marks=needs_torch)]


def formula(logits: np.ndarray, targets: np.ndarray, gamma: float) -> float:
    """The sum over samples, heads and classes of -target * (1 - p) ** gamma * ln p."""
    total = 0.0
    for row, target in zip(logits, targets):
        for part in COLUMNS:
            chances = np.exp(row[part]) / np.exp(row[part]).sum()
            total -= (target[part] * (1 - chances) ** gamma * np.log(chances)).sum()
    return total


def slopes(logits: np.ndarray, targets: np.ndarray, gamma: float) -> np.ndarray:
    found = np.empty_like(logits)
    for index in np.ndindex(*logits.shape):
        shift = np.zeros_like(logits)
        shift[index] = 1e-5
        ends = (formula(logits + sign * shift, targets, gamma) for sign in (1, -1))
        found[index] = (next(ends) - next(ends)) / 2e-5
    return found


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("make", LOSSES)
def test_losses_and_slopes_are_those_of_the_formula(
    make: Callable[[float], Loss], gamma: float
) -> None:
    """Of one-hot, soft and weighted targets, of either head; one row has none."""
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 2, (6, 7))
    targets = np.zeros((6, 7))
    targets[[0, 1], [2, 4]] = 1
    targets[2, :3], targets[3, 3:] = [0.1, 0.8, 0.1], [0.25, 0.25, 0.5, 0]
    targets[4, 5] = 3.5
    loss, gradient = make(gamma)(logits, targets)
    assert loss == pytest.approx(formula(logits, targets, gamma), rel=1e-4)
    np.testing.assert_allclose(gradient, slopes(logits, targets, gamma), rtol=1e-3, atol=1e-4)
    assert not gradient[5].any()


@pytest.mark.parametrize("gamma", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("make", LOSSES)
def test_certain_predictions_have_finite_slopes(
    make: Callable[[float], Loss], gamma: float
) -> None:
    """Where p is 1 in float32, of the true class and of another one."""
    logits = np.zeros((2, 7))
    logits[:, 0] = 200
    targets = np.zeros((2, 7))
    targets[0, 0] = targets[1, 1] = 1
    loss, gradient = make(gamma)(logits, targets)
    assert loss == pytest.approx(200, rel=1e-4)
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient[1, :2], [1, -1], atol=1e-4)
