"""Optimizers step by step against the formulas of their papers, in NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fashionai.config import load_config
from fashionai.config.sections import OptimizerConfig
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.training.gluon.optimizers import make_optimizer, set_rates
from fashionai.training.trainer import Trainer
from tests.support.optimizer_formulas import BATCH, FORMULAS, MOMENTA, RATES, SHAPE, gradient
from tests.support.references import one_cycle
from tests.support.trained_runs import write_config

mx = import_mxnet()


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
