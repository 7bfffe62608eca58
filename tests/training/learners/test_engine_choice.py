"""Which framework ``engine: auto`` is on the CPU, and what the frameworks cannot compute."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fashionai.config import Config, load_config
from fashionai.errors import ConfigError
from fashionai.frameworks.devices import Device
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.training.learners import engine_choice
from fashionai.training.learners.engine_choice import (
    FEWEST_IMAGES_PER_THREAD,
    check_engine,
    resolve_engine,
)
from fashionai.training.learners.opening import open_learner
from tests.support.learners import make_batch, make_config, make_samples

mx = import_mxnet()

THREADS = 3
FEWEST_IMAGES = THREADS * FEWEST_IMAGES_PER_THREAD
CPU, GPU = [Device("cpu")], [Device("gpu", 0)]
CONFIG = """\
task: skirt
model: {name: mobilenetv3_small, pretrained: false}
data: {resize_short: 256, crop: 224}
epochs: 10
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A network that PyTorch is known to train faster, where it is installed."""
    monkeypatch.setattr(engine_choice, "has_torch", lambda: True)
    monkeypatch.setattr(engine_choice, "compute_threads", lambda: THREADS)
    (tmp_path / "c.yaml").write_text(CONFIG)
    return load_config(tmp_path / "c.yaml", [])


def test_networks_that_pytorch_trains_faster_are_trained_by_it(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "fashionai")
    resolved = resolve_engine(config, FEWEST_IMAGES, CPU)
    assert (resolved.engine, resolved.compile) == ("torch", False)
    assert caplog.messages == [
        "engine torch: PyTorch trains mobilenetv3_small faster than MXNet; engine=gluon keeps MXNet"
    ]
    assert resolved == config.changed({"engine": "torch"})
    caplog.clear()
    resolved = resolve_engine(config, FEWEST_IMAGES - 1, CPU)
    assert resolved == config.changed({"engine": "gluon"})
    assert not caplog.messages


@pytest.mark.parametrize(
    "changed",
    [
        {"model.name": "mobilenetv2_1.0"},
        {"model.name": "efficientnet_lite0"},
        {"model.name": "resnext50_32x4d"},
        {"model.name": "se_resnext50_32x4d"},
        {"trainable": "head"},
        {"trainable": {"head": 0.3, "all": 0.7}},
    ],
)
def test_families_that_pytorch_trains_faster(config: Config, changed: dict[str, object]) -> None:
    assert resolve_engine(config.changed(changed), FEWEST_IMAGES, CPU).engine == "torch"


@pytest.mark.parametrize(
    "changed",
    [
        {"model.name": "resnet50_v2"},
        {"model.name": "mobilenet1.0"},
        {"model.name": "mobilenetv2_0.25"},
        {"model.name": "vit_tiny"},
        {"precision": "float16"},
        {"data.crop": 112},  # a quarter of the pixels
    ],
)
def test_others_are_trained_by_mxnet(config: Config, changed: dict[str, object]) -> None:
    assert resolve_engine(config, FEWEST_IMAGES, CPU).engine == "torch"
    resolved = resolve_engine(config.changed(changed), FEWEST_IMAGES, CPU)
    assert (resolved.engine, resolved.compile) == ("gluon", False)


def test_runs_keep_mxnet_and_gpus_decide(config: Config) -> None:
    assert resolve_engine(config, 10**6, CPU, resuming=True).engine == "gluon"
    # MXNet's own context, and the device of a GPU that PyTorch alone can use.
    assert resolve_engine(config, 10**6, [mx.gpu(0)]).engine == "gluon"
    for resuming in (True, False):
        resolved = resolve_engine(config, 10**6, GPU, resuming)
        assert (resolved.engine, resolved.compile) == ("torch", False)


def test_pytorch_is_not_taken_where_it_is_not_installed(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_choice, "has_torch", lambda: False)
    assert resolve_engine(config, 10**6, CPU).engine == "gluon"


ERRORS = [
    ("gluon", "tf32", GPU, "engine: gluon (MXNet) does not have precision=tf32. Give engine=torch"),
    (
        "gluon",
        "bfloat16",
        CPU,
        "engine: gluon (MXNet) does not have precision=bfloat16. Give engine=torch",
    ),
    ("gluon", "float16", CPU, "float16 needs a GPU, found cpu(0). Give precision=float32"),
    ("torch", "float16", CPU, "float16 needs a GPU, found cpu(0). Give precision=float32"),
    ("torch", "tf32", CPU, "tf32 needs a GPU, found cpu(0). Give precision=float32"),
    (
        "gluon",
        "float32",
        GPU,
        "engine: gluon (MXNet) cannot compute on PyTorch's gpu(0). Give engine=torch, or MXNet's "
        "devices",
    ),
]


@pytest.mark.parametrize(("engine", "precision", "devices", "message"), ERRORS)
def test_what_cannot_be_computed(
    config: Config, engine: str, precision: str, devices: list[Device], message: str
) -> None:
    config = config.changed({"engine": engine, "precision": precision})
    with pytest.raises(ConfigError, match=re.escape(message)) as error:
        check_engine(config, devices)
    assert "\n" not in str(error.value)


def test_precisions_that_can_be_computed(config: Config) -> None:
    for engine, precision, devices in (
        ("torch", "tf32", GPU),
        ("torch", "bfloat16", CPU),
        ("torch", "bfloat16", GPU),
        ("torch", "float16", GPU),
        ("gluon", "float16", [mx.gpu(0)]),
        ("gluon", "float32", CPU),
    ):
        check_engine(config.changed({"engine": engine, "precision": precision}), devices)


@pytest.mark.parametrize("engine", ["auto", "gluon"])
def test_mxnet_computes_on_the_cpu_that_pytorch_names(tmp_path: Path, engine: str) -> None:
    config, samples = make_config(tmp_path, f"engine={engine}"), make_samples(24)
    batch, losses = make_batch(0, samples, 8), []
    for devices in (CPU, [mx.cpu()]):
        learner = open_learner(config, samples, devices).learner
        assert learner.framework == "MXNet"
        losses.append(learner.step(batch, 0, 0, 0.01, 0.9).read()[0])
    assert losses[0] == losses[1] > 0
