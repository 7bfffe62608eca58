"""What a person learns before the first epoch."""

from __future__ import annotations

from pathlib import Path

import pytest

from fashionai.config import Config
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.training.speed.estimate import (
    config_of_last_phase,
    config_to_measure,
    duration,
    estimate_lines,
    lighter_networks,
)
from fashionai.weights.availability import pip_networks
from fashionai.weights.pretrained import import_file
from tests.support.networks import make_parameters, write_parameters

mx = import_mxnet()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3, "3 s"),
        (89, "89 s"),
        (100, "2 min"),
        (3600, "60 min"),
        (3 * 3600 + 20 * 60, "3 h 20 min"),
        (47 * 3600 + 3590, "2 days 0 h"),
        (52 * 3600, "2 days 4 h"),
    ],
)
def test_durations_read_like_speech(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASHIONAI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "mxnet"))


def test_forty_epochs_of_resnet50_without_a_gpu_are_estimated_at_days() -> None:
    config = Config(task="skirt")
    # 17,400 training and 1,933 validation images at 4.3 images/s: 40 * (17,400 + 644) / 4.3 s.
    lines = estimate_lines(config, 1 / 4.3, 17_400, 1_933, 0, [mx.cpu()], 1.5)
    assert lines[0].startswith("about 46 h 38 min for 40 epochs: 4.3 images/s on cpu(0)")
    # Four views and the validation images, a third of a step each, then 40 epochs on features:
    # 71,533 / (3 * 4.3) + 40 * 19,333 / 2,000 s.
    assert lines[2].split() == ["trainable=head", "about", "1", "h", "39", "min"]
    assert max(map(len, lines[1:])) <= 80
    assert any(line.startswith("  data.resize_short=144 data.crop=128 ") for line in lines)


def test_the_end_of_a_training_is_its_last_phase_at_the_full_size() -> None:
    config = Config(task="skirt", epochs=4, trainable={"head": 3, "all": 1})
    end = config_of_last_phase(config.changed({"data.sizes": [[0, 112], [0.5, 224]]}))
    assert end == config.changed({"trainable": "all", "data.feature_views": 1})
    alone = Config(task="skirt", optimizer={"lr": 0.1})
    assert config_of_last_phase(alone) == alone
    assert config_to_measure(alone).optimizer.lr <= 1e-6


def test_only_networks_whose_weights_can_be_had_are_named(tmp_path: Path) -> None:
    """Those of the cache and of pip; others that are as cheap are not."""
    named = networks_named("resnet50_v2")
    assert named
    assert named <= {network.name for network in pip_networks()}
    parameters = make_parameters("mobilenet0.25")
    import_file(write_parameters(tmp_path / "a.params", parameters), "mobilenet0.25")
    cheapest = {network.name for network in lighter_networks("mobilenet0.5", 224)}
    assert cheapest == {"mobilenet0.25"}
    assert networks_named("mobilenet0.25") == set()


def networks_named(model: str) -> set[str]:
    config = Config.model_validate({"task": "skirt", "model": {"name": model}})
    lines = estimate_lines(config, 0.25, 9_000, 1_000, 0, [mx.cpu()], 1.5)
    words = [word for line in lines for word in line.split()]
    return {word.removeprefix("model.name=") for word in words if word.startswith("model.name=")}


def test_a_training_on_features_or_on_a_gpu_gets_no_hints() -> None:
    images = (1 / 4.3, 17_400, 1_933, 0)
    assert len(estimate_lines(Config(task="skirt", trainable="head"), *images, [mx.cpu()], 1)) == 1
    assert len(estimate_lines(Config(task="skirt"), *images, [mx.gpu()], 1)) == 1


def test_a_short_run_gets_no_advice_and_a_resumed_one_counts_what_is_left() -> None:
    config = Config(task="skirt", epochs=4)
    lines = estimate_lines(config, 0.01, 900, 300, 3, [mx.cpu()], 1.5)
    assert len(lines) == 1
    assert lines[0].startswith("about 10 s for 1 epoch: 100.0 images/s on cpu(0), 1.5 GB")
