"""An output layer that learns alone is multinomial logistic regression, in both frameworks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from fashionai.config import load_config
from fashionai.datasets.prepared.samples import read_samples
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.training.gluon.learner import initial_network
from tests.support.installed import needs_torch
from tests.support.learners import make_batch, make_config, make_samples, open_one
from tests.support.trained_runs import write_config

mx = import_mxnet()

ENGINES = ["gluon", pytest.param("torch", marks=needs_torch)]
ROWS = 84


@pytest.mark.parametrize("engine", ENGINES)
def test_the_first_loss_is_that_of_equal_probabilities(tmp_path: Path, engine: str) -> None:
    """Of each row that of its own head: 5 classes of collars, 6 of skirts."""
    config = make_config(tmp_path, "task=[collar,skirt]", "trainable=head")
    learner = open_one(config, make_samples(24, config.task_names), engine, pixels_only=True)
    batch = make_batch(0, learner.train, 8)
    loss, _ = learner.step(batch, 0, 0, 0.1, 0.9).read()
    classes = np.array([5, 6])[learner.train.heads[batch.rows]]
    assert loss == pytest.approx(np.log(classes).sum(), rel=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_it_ends_at_the_optimum_of_scikit_learn(
    prepared_skirts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """With the whole training set as its batch. The intercept decays as the weights do."""
    monkeypatch.chdir(prepared_skirts)
    monkeypatch.setenv("FASHIONAI_HOME", str(tmp_path / "home"))
    decay = 0.1
    overrides = ["trainable=head", "data.augment=[]", f"optimizer.weight_decay={decay}"]
    config = load_config(write_config(tmp_path, batch_size=ROWS), overrides)
    learner = open_one(config, read_samples(config, "train"), engine)
    (batch,) = learner.batches(0)
    inputs = np.hstack([batch.images.reshape(ROWS, -1), np.ones((ROWS, 1))]).astype(np.float64)
    # No second derivative of the loss is larger.
    steepest = np.linalg.norm(inputs, 2) ** 2 / ROWS / 2 + decay
    for step in range(500):
        learner.step(batch, 0, step, 1 / steepest, 0.9)
    parameters = learner.parameters()
    found = np.column_stack([parameters["output.weight"], parameters["output.bias"]])
    classes = learner.train.marks[batch.rows].argmax(axis=1)
    solver = LogisticRegression(
        C=1 / (decay * ROWS), fit_intercept=False, tol=1e-9, max_iter=10_000
    )
    expected = solver.fit(inputs, classes).coef_
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_frozen_layers_leave_no_branch_out(tmp_path: Path) -> None:
    """Their features can be kept, whatever model.drop_path says."""
    found = {}
    for trainable in ("head", "all"):
        config = make_config(
            *(tmp_path, "model.name=convnext_atto", "model.drop_path=0.5"),
            *(f"trainable={trainable}", "data.resize_short=32", "data.crop=32"),
        )
        network = initial_network(config, 4, [mx.cpu()], None)
        network.hybridize()
        images = mx.nd.random.uniform(shape=(2, 3, 32, 32))
        with mx.autograd.train_mode():
            found[trainable] = [network(images).asnumpy() for _ in range(2)]
    np.testing.assert_array_equal(*found["head"])
    assert np.abs(np.subtract(*found["all"])).max() > 0
