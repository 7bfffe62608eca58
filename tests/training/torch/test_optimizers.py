"""PyTorch's optimizers: the formulas of the papers in NumPy, and MXNet's steps on a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fashionai.config.sections import OptimizerConfig
from fashionai.frameworks.torch import import_torch
from fashionai.models.networks.options import of_classes
from fashionai.models.networks.registry import NETWORKS
from fashionai.training.steps.schedules import learning_rate, momentum
from fashionai.training.torch.optimizers import Optimizer
from tests.support.learners import (
    Pair,
    assert_close,
    make_batch,
    make_config,
    make_samples,
    open_pair,
    plain_net,
)
from tests.support.optimizer_formulas import BATCH, FORMULAS, MOMENTA, RATES, SHAPE, gradient

torch = import_torch()

OPTIMIZERS = {
    "plain descent": ["optimizer.name=sgd", "optimizer.momentum=0"],
    "sgd": ["optimizer.name=sgd"],
    "nag": ["optimizer.name=nag"],
    "nag without momentum": ["optimizer.name=nag", "optimizer.momentum=0"],
    "adam": ["optimizer.name=adam", "optimizer.lr=0.002"],
    "adamw": ["optimizer.name=adamw", "optimizer.lr=0.002"],
    "one_cycle": ["schedule.name=one_cycle", "schedule.pct_start=0.3", "epochs=5"],
    "one_cycle, momentum 0": ["schedule.name=one_cycle", "epochs=5", "optimizer.momentum=0"],
    "one_cycle, adamw": [
        *("schedule.name=one_cycle", "schedule.pct_start=0.3", "epochs=5"),
        *("optimizer.name=adamw", "optimizer.lr=0.002"),
    ],
}


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", FORMULAS)
def test_every_step_is_that_of_the_paper(name: str, decay: float) -> None:
    """Of three arrays: the second has half of the decay, the third one learns twice as fast."""
    start = np.random.default_rng(1).normal(size=SHAPE)
    # Views with other strides than their own, as channels_last makes them.
    parameters = {
        key: torch.tensor(start.T, dtype=torch.float32).T.requires_grad_()
        for key in ("whole", "half", "fast")
    }
    config = OptimizerConfig(name=name, lr=1.0, weight_decay=decay, momentum=0.5)
    rates = {"whole": 1.0, "half": 1.0, "fast": 2.0}
    decays = {"whole": 1.0, "half": 0.5, "fast": 1.0}
    optimizer = Optimizer(config, parameters, rates, decays, 0.5)
    expected = {key: FORMULAS[name](start, decay * decays[key]) for key in ("whole", "half")}
    for step, (rate, mu) in enumerate(zip(RATES, MOMENTA)):
        for parameter in parameters.values():
            parameter.grad = torch.tensor(gradient(step) * BATCH, dtype=torch.float32)
        before = parameters["fast"].detach().clone()
        optimizer.step(rate, mu, BATCH)
        for key, formula in expected.items():
            found = parameters[key].detach().numpy()
            np.testing.assert_allclose(found, next(formula), rtol=1e-4, atol=1e-5)
        if step == 0 and decay == 0:
            fast = (parameters["fast"] - before).detach().numpy()
            slow = (parameters["whole"] - before).detach().numpy()
            np.testing.assert_allclose(fast, 2 * slow, rtol=1e-4, atol=1e-6)


def test_a_parameter_without_a_gradient_decays_alone() -> None:
    used, unused = (torch.ones(3, requires_grad=True) for _ in range(2))
    config = OptimizerConfig(name="sgd", weight_decay=0.5)
    factors = {"used": 1.0, "unused": 1.0}
    optimizer = Optimizer(config, {"used": used, "unused": unused}, factors, factors, 0.9)
    used.grad = torch.full((3,), 8.0)
    optimizer.step(0.1, 0.9, 4.0)
    np.testing.assert_allclose(used.detach(), [0.75] * 3, rtol=1e-6)
    np.testing.assert_allclose(unused.detach(), [0.95] * 3, rtol=1e-6)


def take_step(pair: Pair, number: int) -> None:
    """The same batch for both, with the rates of the schedule."""
    for learner in pair:
        plan, config = learner.batch_plan, learner.config
        epoch, step = divmod(number, plan.steps(0))
        position = plan.first_step(epoch) + step, plan.steps_per_epoch
        rates = learning_rate(config, *position), momentum(config, *position)
        learner.step(make_batch(number, learner.train, config.batch_size), epoch, step, *rates)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_mxnet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """With weight decay and a faster output layer; parameters and states within 1e-5."""
    monkeypatch.setitem(NETWORKS, "plain", of_classes(plain_net))
    config = make_config(
        tmp_path, "model.name=plain", "optimizer.head_lr_factor=3", *OPTIMIZERS[name]
    )
    pair = open_pair(config, make_samples(16))
    begun = pair.gluon.parameters()
    assert_close(begun, pair.torch.parameters(), 0)
    for number in range(10):
        take_step(pair, number)
        if number in (0, 9):
            assert_close(*(learner.parameters() for learner in pair), 1e-5)
            assert_close(*(learner.state() for learner in pair), 1e-5)
    moved = [np.abs(values - begun[key]).max() for key, values in pair.torch.parameters().items()]
    assert min(moved) > 1e-4, "ten steps change every parameter by far more than the tolerance"
