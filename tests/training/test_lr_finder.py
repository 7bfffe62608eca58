"""The range test: its rates, its mean, what it suggests, when it stops, and what it leaves."""

from __future__ import annotations

import contextlib
import csv
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from fashionai.cli import main
from fashionai.config import Config, load_config
from fashionai.datasets.prepared.samples import read_samples
from fashionai.errors import ConfigError, TrainingError
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.runs import create_run
from fashionai.training.gluon.learner import GluonLearner
from fashionai.training.lr_finder import find_learning_rate, smooth, suggest
from fashionai.training.trainer import Trainer
from tests.support.trained_runs import write_config

mx = import_mxnet()

RATES = np.geomspace(1e-6, 10, 100)


def suggestion(losses: np.ndarray, rates: np.ndarray = RATES) -> float | None:
    """What is suggested for losses without noise."""
    return suggest(rates, losses)


def sigmoid(rate: float, width: float = 0.5) -> np.ndarray:
    """Losses that fall from 2 to 1, steepest at ``rate``."""
    return 1 + 1 / (1 + np.exp((np.log(RATES) - math.log(rate)) / width))


@pytest.fixture
def config(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """21 steps per epoch; the momentum that a step has is that of the configuration."""
    monkeypatch.chdir(prepared)
    return load_config(write_config(prepared, batch_size=4))


def test_the_mean_forgets_exponentially_and_has_no_bias() -> None:
    """Each loss weighs 0.95 of the one after it; the weights sum to 1 from the first on."""
    losses = np.random.default_rng(0).random(50)
    for step, mean in enumerate(smooth(losses)):
        weights = [0.95 ** (step - at) for at in range(step + 1)]
        expected = sum(w * loss for w, loss in zip(weights, losses)) / sum(weights)
        assert mean == pytest.approx(expected, rel=1e-12)
    assert smooth(np.full(30, 7.0)) == pytest.approx(7)


@pytest.mark.parametrize("rate", [1e-4, 1e-3, 1e-2, 0.1])
def test_the_steepest_fall_is_found(rate: float) -> None:
    exploding = sigmoid(rate) + (RATES / 3) ** 4
    assert suggestion(exploding) == pytest.approx(rate, rel=0.2)


def test_a_fall_behind_the_lowest_loss_does_not_count() -> None:
    """Exploded losses come down again, faster than anything before."""
    losses = sigmoid(1e-3)
    losses[80:85] = 60
    losses[85:] = np.linspace(60, 1.5, 15)
    assert suggestion(losses) == pytest.approx(1e-3, rel=0.2)


def test_a_single_easy_batch_does_not_decide() -> None:
    losses = sigmoid(1e-2)
    dented = losses.copy()
    dented[20] -= 0.3
    assert abs(math.log(suggestion(dented) / suggestion(losses))) < math.log(1.5)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"lowest": rate} for rate in (0.0, -1.0, 10.0, 20.0, math.nan)),
        *({"highest": math.inf}, {"steps": 1}, {"steps": 0}),
    ],
    ids=str,
)
def test_a_range_without_two_ends_is_refused(config: Config, wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        find_learning_rate(config, [mx.cpu()], **wrong)


@pytest.mark.parametrize(
    "losses",
    [
        np.full(100, 2.0),
        np.linspace(2, 3, 100),
        np.geomspace(2, 1e6, 100),
        np.array([2.0]),
        np.array([2.0, 1.0]),
        np.array([2.0, 1.0, 0.5]),
    ],
    ids=["flat", "rising", "exploding", "one step", "two steps", "three steps"],
)
def test_where_nothing_falls_nothing_is_suggested(losses: np.ndarray) -> None:
    assert suggestion(losses, RATES[: len(losses)]) is None


def test_noise_is_no_fall() -> None:
    """Batches differ; rates that are all too small change nothing beyond that."""
    wrong = 0
    for seed in range(100):
        losses = 2 + np.random.default_rng(seed).normal(0, 0.2, 100)
        wrong += suggest(RATES, losses) is not None
    assert wrong <= 1


def test_a_fall_beneath_noise_is_still_found() -> None:
    """Through noise and the lag of the mean: within a factor of ten, below the explosion."""
    for seed in range(50):
        noise = np.random.default_rng(seed).normal(0, 0.2, 100)
        losses = 2 * sigmoid(3e-3, width=1) + (RATES / 3) ** 4 + noise
        found = suggest(RATES, losses)
        assert found is not None
        assert 3e-4 < found < 0.1


def test_rates_grow_exponentially_and_losses_are_those_of_training(config: Config) -> None:
    """The same steps made by hand; their number goes beyond an epoch of 21."""
    found = find_learning_rate(config, [mx.cpu()], lowest=1e-5, highest=1e-3, steps=25)
    assert len(found.rates) == len(found.losses) == len(found.smoothed) == 25
    for step, rate in enumerate(found.rates):
        assert rate == pytest.approx(1e-5 * 100 ** (step / 24), rel=1e-12)
    learner = GluonLearner(config, read_samples(config, "train"), [mx.cpu()])
    assert learner.batch_plan.steps_per_epoch == 21
    expected = []
    for epoch, steps in ((0, 21), (1, 4)):
        for step, batch in zip(range(steps), learner.batches(epoch)):
            rate = float(found.rates[len(expected)])
            result = learner.step(batch, epoch, step, rate, config.optimizer.momentum)
            expected.append(result.read()[0] / result.images)
    np.testing.assert_allclose(found.losses, expected, rtol=1e-5)


def test_it_stops_when_the_loss_has_diverged(config: Config) -> None:
    """At the first step whose mean exceeds four times the best, or whose loss is not finite."""
    done: list[int] = []
    config = config.changed({"batch_size": 16})
    found = find_learning_rate(config, [mx.cpu()], highest=1e6, steps=60, progress=done.append)
    assert 20 < len(found.rates) < 60
    assert np.isfinite(found.losses).all()
    best = np.minimum.accumulate(found.smoothed)
    assert (found.smoothed[:-1] <= 4 * best[:-1]).all()
    assert found.suggestion is not None
    assert len(found.rates) - 1 <= sum(done) <= len(found.rates)


def test_rates_far_too_high_end_at_once(config: Config) -> None:
    found = find_learning_rate(config, [mx.cpu()], lowest=1e8, highest=1e9)
    assert 1 <= len(found.rates) < 5
    assert found.suggestion is None


def test_a_network_whose_first_loss_is_nan_is_refused(config: Config, tmp_path: Path) -> None:
    learner = GluonLearner(config, read_samples(config, "train"), [mx.cpu()])
    for parameter in learner.network.collect_params().values():
        parameter.set_data(parameter.data() * float("nan"))
    weights = tmp_path / "nan.params"
    learner.network.save_parameters(str(weights))
    with pytest.raises(TrainingError, match=r"the loss of the first batch is nan"):
        find_learning_rate(config.changed({"model.pretrained": str(weights)}), [mx.cpu()])


def test_the_suggestion_trains_better_than_rates_far_from_it(config: Config) -> None:
    """A hundredth hardly learns in three epochs, and a hundredfold explodes."""
    suggested = find_learning_rate(config, [mx.cpu()]).suggestion
    assert suggested is not None
    losses = dict.fromkeys((0.01, 1, 100), math.inf)
    for factor in losses:
        trained = config.changed({"optimizer.lr": factor * suggested, "epochs": 3})
        run = create_run(Path("runs") / f"factor-{factor}")
        with contextlib.suppress(TrainingError):  # a loss that is not finite
            Trainer(trained, [mx.cpu()]).fit(run)
            with open(run.history_file) as handle:
                losses[factor] = float(list(csv.DictReader(handle))[-1]["train_loss"])
    assert losses[1] < 0.7 * losses[0.01]
    assert losses[1] < 0.7 * losses[100]


def test_two_files_are_written_and_nothing_else_changes(
    prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(prepared / "data", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    config = write_config(tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    arguments = ["--config", str(config), "--steps", "20", "--lowest", "0.001"]
    main(["find-lr", *arguments, "--highest", "0.01", "--out", "new/folder"])
    lines = capsys.readouterr().out.splitlines()
    after = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert {p: after.get(p) for p in before} == before
    new = sorted(p.relative_to(tmp_path).as_posix() for p in after.keys() - before.keys())
    assert new == ["new/folder/lr_finder.csv", "new/folder/lr_finder.png"]
    assert lines[-1] == "new/folder/lr_finder.csv, new/folder/lr_finder.png"
    assert all(len(line) <= 80 for line in lines)
    with open(tmp_path / "new/folder/lr_finder.csv") as handle:
        header, *rows = csv.reader(handle)
    assert header == ["learning_rate", "loss", "smoothed_loss"]
    assert len(rows) == 20
    rates, losses, smoothed = np.array(rows, float).T
    np.testing.assert_allclose(rates, np.geomspace(0.001, 0.01, 20), rtol=1e-12)
    np.testing.assert_allclose(smoothed, smooth(losses), rtol=1e-12)
