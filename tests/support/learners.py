"""Learners of both frameworks over rows whose images are never read, with equal first weights."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fashionai.config import Config, load_config
from fashionai.datasets.prepared.samples import Samples
from fashionai.families import expand_tasks
from fashionai.frameworks.devices import Device
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.metrics import MAYBE, NO, YES
from fashionai.models.networks.small import TutorialNet
from fashionai.pipeline.loader import Batch
from fashionai.tasks import columns_of
from fashionai.training.learners.learner import Learner
from fashionai.training.learners.opening import open_learner

mx = import_mxnet()
nn = mx.gluon.nn

DEVICES = {"gluon": [mx.cpu()], "torch": [Device("cpu")]}
CROP = 32
CONFIG = """\
task: [skirt, pant]
model: {name: small_cnn, pretrained: false}
data: {resize_short: 36, crop: 32}
epochs: 20
batch_size: 8
seed: 3
optimizer: {name: sgd, lr: 0.05, weight_decay: 0.01}
schedule: {name: cosine}
"""


class Pair(NamedTuple):
    """A learner of MXNet and one of PyTorch for the same configuration."""

    gluon: Learner
    torch: Learner


def with_own_names(build: Callable[[int], Any]) -> Callable[[int], Any]:
    """Count the layers of each network from 0: Gluon's optimizer sorts parameters by such names."""

    @functools.wraps(build)
    def build_named(classes: int) -> Any:
        with mx.name.NameManager():
            return build(classes)

    return build_named


@with_own_names
def plain_net(classes: int) -> Any:
    """Without batch normalisation, and without kinks that rounding could cross."""
    layers = [
        nn.Conv2D(6, kernel_size=5, strides=3, activation="tanh"),
        nn.AvgPool2D(pool_size=2),
        nn.Flatten(),
        nn.Dense(12, activation="tanh"),
    ]
    return TutorialNet(layers, classes)


@with_own_names
def smooth_net(classes: int) -> Any:
    """With batch normalisation, and without kinks that rounding could cross."""
    layers = [
        *(nn.Conv2D(6, kernel_size=5, strides=2), nn.BatchNorm(), nn.Activation("tanh")),
        *(nn.Conv2D(8, kernel_size=3), nn.BatchNorm(scale=False, momentum=0.8)),
        *(nn.Activation("tanh"), nn.AvgPool2D(pool_size=2)),
        *(nn.Conv2D(8, kernel_size=3), nn.BatchNorm(), nn.Activation("sigmoid")),
        *(nn.GlobalAvgPool2D(), nn.Flatten()),
    ]
    return TutorialNet(layers, classes)


def make_samples(count: int, tasks: Sequence[str] = ("skirt", "pant")) -> Samples:
    """Rows of several tasks in turn; every third one has a class marked m."""
    expanded = expand_tasks(tasks)
    columns = columns_of(expanded)
    heads = np.arange(count, dtype=np.int64) % len(expanded)
    marks = np.full((count, columns[-1].stop), NO, np.int8)
    for row, head in enumerate(heads):
        part = columns[head]
        own = part.stop - part.start
        marks[row, part.start + row % own] = YES
        if row % 3 == 0:
            marks[row, part.start + (row + 1) % own] = MAYBE
    names = [f"{row}.jpg" for row in range(count)]
    return Samples(expanded, [Path(name) for name in names], names, heads, marks)


def make_config(folder: Path, *overrides: str) -> Config:
    file = folder / "both.yaml"
    file.write_text(CONFIG)
    return load_config(file, overrides)


def open_pair(config: Config, samples: Samples, **options: Any) -> Pair:
    """Learners of both frameworks, made as ``fashionai train`` makes them."""
    return Pair(*(open_one(config, samples, engine, **options) for engine in DEVICES))


def open_one(config: Config, samples: Samples, engine: str, **options: Any) -> Learner:
    config = config.changed({"engine": engine})
    return open_learner(config, samples, DEVICES[engine], **options).learner


def make_batch(number: int, samples: Samples, size: int) -> Batch:
    """A batch of random images and rows."""
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 256, (size, 1, CROP, CROP, 3), np.uint8)
    return Batch(pixels, rng.permutation(len(samples.paths))[:size])


def assert_close(one: dict[str, np.ndarray], other: dict[str, np.ndarray], atol: float) -> None:
    """Arrays of the same names in the same order, with the same shapes and types."""
    assert list(one) == list(other)
    for name, values in one.items():
        assert (values.shape, values.dtype) == (other[name].shape, other[name].dtype), name
        np.testing.assert_allclose(other[name], values, rtol=0, atol=atol, err_msg=name)
