"""What devices agree on between epochs: the statistics of batch normalisation."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from fashionai.config import Config
from fashionai.config.sections import DataConfig, ModelConfig
from fashionai.datasets.prepared.samples import Samples
from fashionai.families import find_task
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.training.gluon.learner import GluonLearner

mx = import_mxnet()

DEVICES = 3
ROWS = 12


@pytest.fixture(scope="module")
def learner() -> GluonLearner:
    """A small network on three devices; its images are never read."""
    skirt = find_task("skirt")
    marks = np.zeros((ROWS, 6), np.int8)
    names = [f"{row}.jpg" for row in range(ROWS)]
    heads = np.zeros(ROWS, np.int64)
    rows = Samples([skirt], [Path(name) for name in names], names, heads, marks)
    config = Config(
        task="skirt",
        model=ModelConfig(name="small_cnn", pretrained=False),
        data=DataConfig(resize_short=36, crop=32),
        batch_size=2,
    )
    return GluonLearner(config, rows, [mx.cpu(index) for index in range(DEVICES)])


def statistics(learner: GluonLearner) -> dict[str, list]:
    """The copies of every running mean and variance, device by device."""
    return {
        name: parameter.list_data()
        for name, parameter in learner.network.collect_params().items()
        if name.endswith(("running_mean", "running_var"))
    }


def fill(learner: GluonLearner, equal: bool) -> dict[str, list[np.ndarray]]:
    """Random statistics, equal on all devices or not; what they were set to, by name."""
    rng = np.random.default_rng(0)
    written = {}
    for name, copies in statistics(learner).items():
        first = rng.lognormal(0, 3, copies[0].shape).astype(np.float32)
        values = [first] + [
            first if equal else rng.lognormal(0, 3, first.shape).astype(np.float32)
            for _ in copies[1:]
        ]
        for copy, value in zip(copies, values):
            copy[:] = value
        written[name] = values
    assert len(written) == 12  # six layers
    return written


def test_copies_that_are_equal_stay_as_they_are(learner: GluonLearner) -> None:
    written = fill(learner, equal=True)
    # Else this could not fail: a sum in float32, divided by three, is often another number.
    assert any(((v[0] + v[1] + v[2]) / np.float32(3) != v[0]).any() for v in written.values())
    learner.average_statistics()
    for name, copies in statistics(learner).items():
        assert len(copies) == DEVICES
        for copy in copies:
            assert copy.asnumpy().tobytes() == written[name][0].tobytes()


def test_others_become_the_mean_on_every_device(learner: GluonLearner) -> None:
    written = fill(learner, equal=False)
    before = {
        name: parameter.data(mx.cpu(0)).asnumpy()
        for name, parameter in learner.network.collect_params().items()
        if name not in written and parameter.shape and 0 not in parameter.shape
    }
    assert before
    learner.average_statistics()
    for name, copies in statistics(learner).items():
        # fsum has no rounding but its last one.
        expected = [
            math.fsum(values) / DEVICES for values in zip(*(v.tolist() for v in written[name]))
        ]
        for index, copy in enumerate(copies):
            assert copy.context == mx.cpu(index)
            np.testing.assert_array_equal(copy.asnumpy(), np.array(expected).astype(np.float32))
    for name, values in before.items():
        after = learner.network.collect_params()[name].data(mx.cpu(0)).asnumpy()
        np.testing.assert_array_equal(after, values)
