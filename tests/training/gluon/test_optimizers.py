"""Optimizers step by step against the formulas of their papers, in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fashionai.config import load_config
from fashionai.config.models import OptimizerConfig
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.training.gluon.optimizers import make_optimizer, set_rates
from fashionai.training.trainer import Trainer
from tests.support.references import one_cycle
from tests.support.trained_runs import write_config

mx = import_mxnet()

# Rates and momenta change between steps, as schedules change them.
RATES = [0.1, 0.3, 0.05, 0.2, 0.2, 0.01]
MOMENTA = [0.9, 0.8, 0.95, 0.9, 0.7, 0.85]
SHAPE = (3, 4)
BATCH = 5

Formula = Callable[[np.ndarray, float], Iterator[np.ndarray]]


def gradient(step: int) -> np.ndarray:
    return np.random.default_rng((8, step)).normal(size=SHAPE)


def sgd(weight: np.ndarray, decay: float) -> Iterator[np.ndarray]:
    """Classical momentum (Sutskever et al. 2013, equations 1 and 2), decay in the gradient."""
    velocity = np.zeros(SHAPE)
    for step, (rate, mu) in enumerate(zip(RATES, MOMENTA)):
        velocity = mu * velocity - rate * (gradient(step) + decay * weight)
        weight = weight + velocity
        yield weight


def nag(weight: np.ndarray, decay: float) -> Iterator[np.ndarray]:
    """Nesterov momentum as Bengio et al. write it (arXiv:1212.0901, equation 7)."""
    velocity = np.zeros(SHAPE)
    for step, (rate, mu) in enumerate(zip(RATES, MOMENTA)):
        slope = gradient(step) + decay * weight
        velocity = mu * velocity - rate * slope
        weight = weight + mu * velocity - rate * slope
        yield weight


def adam_directions(beta2: float = 0.999, epsilon: float = 1e-8) -> Any:
    """A function of (step, slope) to Adam's direction (arXiv:1412.6980).

    In the order of computation that the paper gives at the end of its section 2,
    whose epsilon is not corrected.
    """
    m, v = np.zeros(SHAPE), np.zeros(SHAPE)

    def direction(step: int, slope: np.ndarray) -> np.ndarray:
        nonlocal m, v
        beta1 = MOMENTA[step]
        m = beta1 * m + (1 - beta1) * slope
        v = beta2 * v + (1 - beta2) * slope**2
        correction = np.sqrt(1 - beta2 ** (step + 1)) / (1 - beta1 ** (step + 1))
        return correction * m / (np.sqrt(v) + epsilon)

    return direction


def adam(weight: np.ndarray, decay: float) -> Iterator[np.ndarray]:
    direction = adam_directions()
    for step, rate in enumerate(RATES):
        weight = weight - rate * direction(step, gradient(step) + decay * weight)
        yield weight


def adamw(weight: np.ndarray, decay: float) -> Iterator[np.ndarray]:
    """The decay beside the direction, times the rate (arXiv:1711.05101, algorithm 2)."""
    direction = adam_directions()
    for step, rate in enumerate(RATES):
        weight = weight - rate * (direction(step, gradient(step)) + decay * weight)
        yield weight


FORMULAS: dict[str, Formula] = {"sgd": sgd, "nag": nag, "adam": adam, "adamw": adamw}


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", FORMULAS)
def test_every_step_is_that_of_the_paper(name: str, decay: float) -> None:
    """Of two arrays, one of which has half of the decay."""
    start = np.random.default_rng(1).normal(size=SHAPE)
    network = mx.gluon.nn.HybridSequential()
    multipliers = {"whole": 1.0, "half": 0.5}
    for key in multipliers:
        network.params.get(key, shape=SHAPE)
    network.initialize()
    parameters = {key: network.params.get(key) for key in multipliers}
    for key, parameter in parameters.items():
        parameter.wd_mult = multipliers[key]
        parameter.set_data(mx.nd.array(start))
    config = OptimizerConfig(name=name, lr=1.0, weight_decay=decay, momentum=0.5)
    trainer = mx.gluon.Trainer(
        network.collect_params(),
        make_optimizer(config, 0.5),
        kvstore="device",
        update_on_kvstore=False,
    )
    expected = {key: FORMULAS[name](start, decay * factor) for key, factor in multipliers.items()}
    for step, (rate, mu) in enumerate(zip(RATES, MOMENTA)):
        set_rates(trainer.optimizer, rate, mu)
        slope = mx.nd.array(gradient(step) * BATCH)
        with mx.autograd.record():
            loss = sum((parameter.data() * slope).sum() for parameter in parameters.values())
        loss.backward()
        trainer.step(BATCH)
        for key, parameter in parameters.items():
            found = parameter.data().asnumpy()
            # MXNet holds Adam's betas as float32: 1 - 0.999 is right to five digits.
            np.testing.assert_allclose(found, next(expected[key]), rtol=1e-4, atol=1e-5)


def test_without_momentum_sgd_is_plain_descent() -> None:
    weight = mx.nd.array([1.0, -2.0])
    optimizer = make_optimizer(OptimizerConfig(momentum=0.0, weight_decay=0.0), 0.0)
    set_rates(optimizer, 0.5, 0.0)
    update = mx.optimizer.get_updater(optimizer)
    for _ in range(2):
        update(0, mx.nd.array([1.0, 4.0]), weight)
    np.testing.assert_allclose(weight.asnumpy(), [0.0, -6.0])


def test_one_cycles_momentum_reaches_the_update(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although optimizer.momentum is 0: three steps of the training computed by hand."""
    monkeypatch.chdir(prepared)
    overrides = ["schedule.name=one_cycle", "schedule.pct_start=0.2", "optimizer.momentum=0"]
    overrides += ["schedule.warmup_epochs=0", "optimizer.weight_decay=0.01"]
    config = load_config(write_config(prepared, epochs=2, batch_size=16), overrides)
    trainer = Trainer(config, [mx.cpu()])
    learner = trainer.learner
    total = 2 * 84 // 16
    rates = one_cycle(total, 0.2, (0.05 / 25, 0.05, 0.05 / 25 / 1e4))
    momenta = one_cycle(total, 0.2, (0.95, 0.85, 0.95))
    assert max(momenta[:3]) - min(momenta[:3]) > 0.05
    kernel = learner.network.output.weight
    velocity = np.zeros(kernel.shape)
    weight = kernel.data().asnumpy().astype(np.float64)
    for step, batch in zip(range(3), learner.batches(0)):
        learner.step(batch, 0, step, *trainer._rates(step))
        slope = kernel.grad().asnumpy() / len(batch.rows) + 0.01 * weight
        velocity = momenta[step] * velocity - rates[step] * slope
        weight = weight + velocity
        np.testing.assert_allclose(kernel.data().asnumpy(), weight, rtol=1e-5, atol=1e-7)
