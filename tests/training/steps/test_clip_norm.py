"""Clipping the gradient of all parameters together, against its formula."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.networks.options import of_classes
from fashionai.models.networks.registry import NETWORKS
from fashionai.training.gluon.gradients import global_norm
from fashionai.training.learners.learner import Learner
from fashionai.training.learners.opening import open_learner
from fashionai.training.steps.loss_scale import LossScale
from tests.support.installed import needs_torch
from tests.support.learners import DEVICES, make_batch, make_config, make_samples, plain_net

mx = import_mxnet()

ENGINES = ["gluon", pytest.param("torch", marks=needs_torch)]
ROWS, RATE = 8, 0.25


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "plain", of_classes(plain_net))


def open_one(folder: Path, engine: str, clip: Any, devices: int = 1, decay: float = 0.0) -> Learner:
    config = make_config(
        folder,
        *("model.name=plain", f"engine={engine}", f"batch_size={ROWS // devices}"),
        *("optimizer.momentum=0", f"optimizer.weight_decay={decay}"),
        f"optimizer.clip_norm={clip}",
    )
    contexts = DEVICES[engine] if devices == 1 else [mx.cpu(index) for index in range(devices)]
    return open_learner(config, make_samples(ROWS), contexts).learner


def change(learner: Learner) -> dict[str, np.ndarray]:
    """By how much one step of plain descent moves every parameter, divided by -rate."""
    before = learner.parameters()
    learner.step(make_batch(0, learner.train, ROWS), 0, 0, RATE, 0.0).read()
    after = learner.parameters()
    return {name: (before[name] - after[name]) / RATE for name in before}


def norm(arrays: dict[str, np.ndarray]) -> float:
    return math.sqrt(sum((values.astype(np.float64) ** 2).sum() for values in arrays.values()))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_long_gradient_has_the_given_norm_and_its_direction(tmp_path: Path, engine: str) -> None:
    gradient = change(open_one(tmp_path, engine, "null"))
    limit = norm(gradient) / 3
    clipped = change(open_one(tmp_path, engine, limit))
    assert norm(clipped) == pytest.approx(limit, rel=1e-4)
    for name, values in gradient.items():
        np.testing.assert_allclose(clipped[name], values / 3, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_short_gradient_stays_as_it_is(tmp_path: Path, engine: str) -> None:
    gradient = change(open_one(tmp_path, engine, "null"))
    same = change(open_one(tmp_path, engine, 2 * norm(gradient)))
    assert all(np.array_equal(values, same[name]) for name, values in gradient.items())


@pytest.mark.parametrize("engine", ENGINES)
def test_weight_decay_is_not_clipped(tmp_path: Path, engine: str) -> None:
    decayed = open_one(tmp_path, engine, 1e-20, decay=0.5)
    weights = decayed.parameters()
    for name, values in change(decayed).items():
        np.testing.assert_allclose(values, 0.5 * weights[name], atol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_scale_of_the_loss_does_not_count(tmp_path: Path, engine: str) -> None:
    limit = norm(change(open_one(tmp_path, engine, "null"))) / 3
    plain, scaled = (open_one(tmp_path, engine, limit) for _ in range(2))
    scaled.loss_scale = LossScale()  # type: ignore[attr-defined]
    one, other = change(plain), change(scaled)
    assert scaled.loss_scale.finite_steps == 1  # type: ignore[attr-defined]
    for name, values in one.items():
        np.testing.assert_allclose(other[name], values, rtol=1e-5, atol=1e-7)


def test_the_norm_is_that_of_the_sum_over_devices(tmp_path: Path) -> None:
    """On each of two devices the gradient of its half is longer than the limit."""
    limit = norm(change(open_one(tmp_path, "gluon", "null"))) / 3
    one = change(open_one(tmp_path, "gluon", limit))
    two = change(open_one(tmp_path, "gluon", limit, devices=2))
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, atol=1e-6)


def test_the_norm_of_many_values_is_exact() -> None:
    """In float32, one after the other, the squares of these would lose three digits."""
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in ((1500, 1500), (7,), (3, 1))]
    expected = np.linalg.norm(np.concatenate([each.ravel() for each in arrays]).astype(np.float64))
    found = global_norm([mx.nd.array(each) for each in arrays])
    assert found == pytest.approx(expected, rel=2e-5)
