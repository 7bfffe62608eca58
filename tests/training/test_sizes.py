"""Training images whose size changes from epoch to epoch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fashionai.config import Config, load_config
from fashionai.datasets.prepared.samples import read_samples
from fashionai.errors import ConfigError
from fashionai.files.formats.array_lists import read_array_list
from fashionai.models.networks.options import of_classes
from fashionai.models.networks.registry import NETWORKS
from fashionai.runs import create_run
from fashionai.training.steps.schedules import learning_rate, momentum
from fashionai.training.trainer import Trainer
from tests.support.installed import needs_torch
from tests.support.learners import DEVICES, assert_close, open_one, plain_net
from tests.support.trained_runs import write_config
from tests.support.transformers import SMALL

ENGINES = ["gluon", pytest.param("torch", marks=needs_torch)]
SIZES = "data.sizes=[[0, 24], [0.5, 40], [0.9, 32]]"
TWO_SIZES = "data.sizes=[[0, 24], [0.5, 40]]"


@pytest.fixture(autouse=True)
def inside(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(prepared)


def make_config(engine: str, *overrides: str) -> Config:
    file = write_config(Path(), network="small_cnn", batch_size=20)
    return load_config(file, [f"engine={engine}", *overrides])


@pytest.mark.parametrize(
    ("epochs", "sides"), [(2, [24, 40]), (5, [24, 24, 40, 40, 32]), (7, [24] * 4 + [40] * 2 + [32])]
)
def test_shares_are_rounded_to_epochs(epochs: int, sides: list[int]) -> None:
    config = make_config("gluon", SIZES, f"epochs={epochs}")
    assert [config.training_side(epoch) for epoch in range(epochs)] == sides
    assert make_config("gluon").training_side(3) == 32


@pytest.mark.parametrize("engine", ENGINES)
def test_it_trains_as_if_the_crop_changed(engine: str) -> None:
    """A naive loop over epochs that takes the batches of configurations with another crop."""
    config = make_config(engine, TWO_SIZES, "epochs=2")
    run = create_run(Path(f"runs/sizes-{engine}"))
    Trainer(config, DEVICES[engine]).fit(run)
    samples = read_samples(config, "train")
    learner = open_one(config.changed({"data.sizes": []}), samples, engine)
    for epoch, (side, short) in enumerate(((24, 27), (40, 45))):
        changes = {"data.sizes": [], "data.crop": side, "data.resize_short": short}
        other = open_one(config.changed(changes), samples, engine)
        for step, batch in enumerate(other.batches(epoch)):
            assert batch.images.shape[1:] == (1, side, side, 3)
            place = learner.batch_plan.first_step(epoch) + step, learner.batch_plan.steps_per_epoch
            rates = learning_rate(config, *place), momentum(config, *place)
            learner.step(batch, epoch, step, *rates).read()
        learner.average_statistics()
    assert_close(learner.parameters(), read_array_list(run.last_parameters), 0)
    validation = learner.inputs.evaluation(read_samples(config, "val"), lambda: None)
    assert next(validation).shape[1:] == (1, 32, 32, 3)


def test_features_are_not_kept_of_images_that_change_their_size(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = make_config("gluon", TWO_SIZES, "epochs=2", "trainable=head")
    with caplog.at_level("INFO"):
        Trainer(config, DEVICES["gluon"]).fit(create_run(Path("runs/head")))
    assert any("data.sizes changes the size of the images" in line for line in caplog.messages)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["plain", "vit"])
def test_networks_of_one_size_are_refused(
    monkeypatch: pytest.MonkeyPatch, engine: str, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(NETWORKS, "plain", of_classes(plain_net))
    monkeypatch.setitem(NETWORKS, "vit", next(SMALL[key] for key in SMALL if "vit" in key))
    config = make_config(engine, f"model.name={name}", "data.crop=48", "data.resize_short=48")
    config = config.changed({"data.sizes": [[0, 32], [0.5, 48]]})
    message = f"data.sizes: {name} for images of 48 pixels does not take images of 32"
    with pytest.raises(ConfigError, match=message):
        open_one(config, read_samples(config, "train"), engine)
    assert capfd.readouterr() == ("", "")  # MXNet itself prints nothing


@pytest.mark.parametrize(
    ("sizes", "epochs", "message"),
    [
        (
            [[0, 24], [0.6, 32]],
            1,
            r"\[0.6, 32\] would begin after 1 epoch and end after 1 epoch of 1",
        ),
        (
            [[0, 24], [0.1, 28], [0.5, 32]],
            4,
            r"\[0, 24\] would begin after 0 epochs and end after 0",
        ),
        ([[0, 24], [0.5, 28], [0.54, 32]], 10, r"\[0.5, 28\] would begin after 5 epochs and end"),
    ],
)
def test_a_size_without_an_epoch_is_refused(
    sizes: list[list[float]], epochs: int, message: str
) -> None:
    config = make_config("gluon", f"data.sizes={sizes}", f"epochs={epochs}")
    with pytest.raises(ConfigError, match=f"data.sizes: {message}"):
        Trainer(config, DEVICES["gluon"])


def test_time_is_estimated_in_proportion_to_pixels(caplog: pytest.LogCaptureFixture) -> None:
    config = make_config("gluon", "data.sizes=[[0, 16], [0.5, 32]]", "epochs=2")
    trainer = Trainer(config, DEVICES["gluon"])
    seconds = 100 / (84 + 12 / 3)
    with caplog.at_level("INFO"):
        trainer._log_estimate(seconds)
    # An epoch takes 100 s, the other one four times as long.
    assert np.isclose(500 / 60, 8.33, atol=0.01)
    assert "about 8 min for 2 epochs" in caplog.messages[0]
