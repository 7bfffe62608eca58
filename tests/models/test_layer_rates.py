"""Learning rates that decrease from the output layer to the first stage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fashionai.errors import ConfigError
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.freezing import set_layer_rates
from fashionai.models.networks.options import of_classes
from fashionai.models.networks.registry import NETWORKS
from fashionai.models.zoo import build_network
from fashionai.training.learners.learner import Learner
from fashionai.training.steps.schedules import learning_rate
from tests.support.installed import needs_torch
from tests.support.learners import make_batch, make_config, make_samples, open_one, smooth_net
from tests.support.transformers import SMALL

mx = import_mxnet()

# The distance from the output layer of each layer in ``features``, from the papers' tables: the
# stem has 112 pixels, after it are four stages of 56 to 7. The first layer has no weights.
RESNET = {**dict.fromkeys(("1", "2"), 5), **dict.fromkeys("5", 4), "6": 3, "7": 2, "8": 1, "9": 1}
# The embedding, three blocks, and the normalisation of the class token.
TRANSFORMER = {"0": 4, "1": 3, "2": 2, "3": 1, "5": 1}


def distances(network: object, decay: float) -> dict[str, set[int]]:
    """The logarithms of the rates to the base ``decay``, by layer."""
    found: dict[str, set[int]] = {}
    for name, parameter in network._collect_params_with_prefix().items():  # type: ignore[attr-defined]
        layer = "output" if name.startswith("output") else name.split(".")[1]
        distance = np.log(parameter.lr_mult) / np.log(decay)
        assert distance == pytest.approx(round(distance))
        if parameter.grad_req != "null":
            found.setdefault(layer, set()).add(round(distance))
    return found


def test_stages_of_a_residual_network() -> None:
    network = build_network("resnet18_v2", 5, 224, None)
    set_layer_rates(network, 1.0, 0.7, 224)
    found = distances(network, 0.7)
    assert found.pop("output") == {0}
    assert found == {layer: {distance} for layer, distance in RESNET.items()}


def test_blocks_of_a_vision_transformer(monkeypatch: pytest.MonkeyPatch) -> None:
    name = next(name for name in SMALL if "vit" in name)
    monkeypatch.setitem(NETWORKS, name, SMALL[name])
    network = build_network(name, 5, 32, None)
    set_layer_rates(network, 1.0, 0.7, 32)
    found = distances(network, 0.7)
    assert found.pop("output") == {0}
    assert found == {layer: {distance} for layer, distance in TRANSFORMER.items()}


@pytest.mark.parametrize(
    ("name", "crop", "stages"),
    # Networks whose pooling layers are stages without weights, and a last stage of one pixel.
    [("shufflenet_v2", 64, 4), ("covers_lenet", 240, 3), ("resnet18_v2", 32, 5)],
)
def test_every_stage_with_weights_is_one_step(name: str, crop: int, stages: int) -> None:
    network = build_network(name, 5, crop, None)
    set_layer_rates(network, 1.0, 0.7, crop)
    found = set.union(*distances(network, 0.7).values())
    assert found == set(range(stages + 1))


def test_layers_that_are_no_sequence_are_refused() -> None:
    network = build_network("googlenet", 5, 224, None)
    with pytest.raises(ConfigError, match=r"the layers of this network are no sequence\."):
        set_layer_rates(network, 1.0, 0.7, 224)


def change(learner: Learner, rate: float) -> dict[str, np.ndarray]:
    """What one step of plain descent changes."""
    before = learner.parameters()
    learner.step(make_batch(0, learner.train, 8), 0, 0, rate, 0.0).read()
    after = learner.parameters()
    return {name: after[name] - before[name] for name in before}


@pytest.mark.parametrize("share", [0.05, 0.3, 1.0])  # of the epochs that one cycle takes
@pytest.mark.parametrize("engine", ["gluon", pytest.param("torch", marks=needs_torch)])
def test_layers_move_by_their_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, share: float
) -> None:
    """The first layers of this network have 14 pixels, then come 12 and 4; pooling alone has 6."""
    monkeypatch.setitem(NETWORKS, "smooth", of_classes(smooth_net))
    cycle = ("epochs=10", "schedule.name=one_cycle", "optimizer.momentum=0")
    config = make_config(tmp_path, "model.name=smooth", *cycle)
    factors = {"optimizer.layer_decay": 0.5, "optimizer.head_lr_factor": 3.0}
    samples = make_samples(8)
    rate = learning_rate(config, round(share * 99), 10)
    plain = change(open_one(config, samples, engine), rate)
    decayed = change(open_one(config.changed(factors), samples, engine), rate)
    powers = {"0": 3, "1": 3, "3": 2, "4": 2, "7": 1, "8": 1}
    for name, values in plain.items():
        if "running" in name or name == "features.4.gamma":
            continue
        factor = 3.0 if name.startswith("output") else 0.5 ** powers[name.split(".")[1]]
        np.testing.assert_allclose(decayed[name], factor * values, rtol=1e-4, atol=1e-7)
