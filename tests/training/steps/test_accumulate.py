"""Several batches per update: the same as one batch that is as large as all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.networks.options import of_classes
from fashionai.models.networks.registry import NETWORKS
from fashionai.training.learners.learner import Learner
from fashionai.training.learners.opening import open_learner
from fashionai.training.steps.loss_scale import LossScale
from tests.support.installed import needs_torch
from tests.support.learners import (
    assert_close,
    make_batch,
    make_config,
    make_samples,
    open_one,
    plain_net,
    smooth_net,
)

mx = import_mxnet()

ENGINES = ["gluon", pytest.param("torch", marks=needs_torch)]
ROWS = 22
CASES = {
    "sgd": ["optimizer.momentum=0.9"],
    "adamw, averages": ["optimizer.name=adamw", "ema=0.9", "loss.class_weights=balanced"],
    "clipped": ["optimizer.clip_norm=0.05"],
}


@pytest.fixture(autouse=True)
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "plain", of_classes(plain_net))
    monkeypatch.setitem(NETWORKS, "smooth", of_classes(smooth_net))


def learners(
    folder: Path, engine: str, sizes: list[tuple[int, int]], *overrides: str
) -> Iterator[Learner]:
    """One learner for each batch size and number of batches per update."""
    for size, count in sizes:
        settings = (f"batch_size={size}", f"accumulate={count}", *overrides)
        config = make_config(folder, "model.name=plain", "optimizer.lr=0.01", *settings)
        yield open_one(config, make_samples(ROWS), engine)


# Of 22 samples, four batches of 6 make a batch of all of them, the last one with 4.
@pytest.mark.parametrize("sizes", [[(8, 1), (4, 2)], [(22, 1), (6, 4)]], ids=["even", "incomplete"])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("engine", ENGINES)
def test_two_small_batches_train_what_a_large_one_does(
    tmp_path: Path, engine: str, name: str, sizes: list[tuple[int, int]]
) -> None:
    whole, parts = learners(tmp_path, engine, sizes, *CASES[name])
    begun = whole.parameters()
    assert whole.batch_plan.batch_size == parts.batch_plan.batch_size == sizes[0][0]
    assert parts.pass_size == sizes[1][0]
    for step in range(3):
        batch = make_batch(step, whole.train, whole.batch_size)
        one, other = (each.step(batch, 0, step, 0.05, 0.9) for each in (whole, parts))
        assert other.images == one.images
        (loss, correct), (parts_loss, parts_correct) = one.read(), other.read()
        assert parts_loss == pytest.approx(loss, rel=1e-5)
        assert parts_correct == correct
    assert_close(whole.state(), parts.state(), 2e-6)
    assert np.abs(begun["output.weight"] - parts.parameters()["output.weight"]).max() > 1e-3


@pytest.mark.parametrize("engine", ENGINES)
def test_the_scale_of_the_loss_is_that_of_all_batches(tmp_path: Path, engine: str) -> None:
    whole, parts = learners(tmp_path, engine, [(8, 1), (4, 2)])
    for learner in (whole, parts):
        learner.loss_scale = LossScale()  # type: ignore[attr-defined]
    for step in range(2):
        for learner in (whole, parts):
            learner.step(make_batch(step, whole.train, 8), 0, step, 0.05, 0.9).read()
    assert parts.loss_scale.finite_steps == 2  # type: ignore[attr-defined]
    assert_close(whole.parameters(), parts.parameters(), 1e-6)


def test_every_batch_is_divided_among_the_devices(tmp_path: Path) -> None:
    (whole,) = learners(tmp_path, "gluon", [(8, 1)])
    config = whole.config.changed({"batch_size": 2, "accumulate": 2})
    parts = open_learner(config, whole.train, [mx.cpu(0), mx.cpu(1)]).learner
    assert (parts.batch_size, parts.pass_size) == (8, 4)
    for step in range(2):
        for learner in (whole, parts):
            learner.step(make_batch(step, whole.train, 8), 0, step, 0.05, 0.9).read()
    assert_close(whole.parameters(), parts.parameters(), 1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_batch_normalisation_sees_each_batch_on_its_own(tmp_path: Path, engine: str) -> None:
    """Its running mean moves once for each batch, to the means of both."""
    (learner,) = learners(tmp_path, engine, [(4, 2)], "model.name=smooth", "optimizer.lr=1e-20")
    (alone,) = learners(tmp_path, engine, [(4, 1)], "model.name=smooth", "optimizer.lr=1e-20")
    batch = make_batch(0, learner.train, 8)
    learner.step(batch, 0, 0, 1e-20, 0.0).read()
    for step in range(2):
        half = type(batch)(*(each[4 * step : 4 * step + 4] for each in batch))
        alone.step(half, 0, step, 1e-20, 0.0).read()
    assert_close(alone.parameters(), learner.parameters(), 1e-6)


def test_each_batch_is_mixed_on_its_own(tmp_path: Path) -> None:
    """With numbers of its own, which follow those of the batches before."""
    first, second = learners(tmp_path, "gluon", [(4, 1), (4, 2)], "loss.mixup=0.4")
    batch = make_batch(0, first.train, 8)
    mixed = [part.mixing for parts in second.passes(batch, 1, 3) for part in parts]
    for at, mixing in enumerate(mixed):
        (expected,) = (
            part.mixing
            for part in first.passes(
                batch._replace(images=batch.images[:4], rows=batch.rows[:4]), 1, 6 + at
            )[0]
        )
        assert mixing is not None
        assert expected is not None
        assert mixing.share == expected.share
        assert sorted(mixing.partners) == [0, 1, 2, 3]


def test_the_hint_on_memory_keeps_the_update(tmp_path: Path) -> None:
    error = MemoryError("out of memory")
    for size, count, hint in ((7, 1, "batch_size=4 accumulate=2"), (4, 3, "=2 accumulate=6")):
        (learner,) = learners(tmp_path, "gluon", [(size, count)])
        assert hint in str(learner.failure(error))
    (learner,) = learners(tmp_path, "gluon", [(1, 8)])
    assert "accumulate" not in str(learner.failure(error))
