"""``--engine torch`` in the commands that train: what a run keeps of it, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fashionai.config import load_config
from fashionai.frameworks.devices import Device
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.runs import Run, RunFolder, create_run
from fashionai.training.batches.inputs import FeatureInputs, PixelInputs
from fashionai.training.trainer import Trainer
from tests.support.commands import fashionai
from tests.support.resuming import assert_same_end, parameters
from tests.support.trained_runs import write_config

mx = import_mxnet()

DEVICES = {"gluon": [mx.cpu()], "torch": [Device("cpu")]}
# PyTorch's warnings would appear in the user's terminal.
pytestmark = pytest.mark.filterwarnings("error::UserWarning")


@pytest.fixture(autouse=True)
def home(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """FASHIONAI_HOME, empty; the prepared folder is the current one."""
    monkeypatch.chdir(prepared)
    monkeypatch.setenv("FASHIONAI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def train(name: str, engine: str, *overrides: str) -> Trainer:
    config = load_config(write_config(Path()), [f"engine={engine}", *overrides])
    trainer = Trainer(config, DEVICES[engine])
    trainer.fit(create_run(Path("runs") / name))
    return trainer


def compare_histories(trainers: list[Trainer], tolerance: float) -> None:
    first, second = (trainer.progress.history for trainer in trainers)
    assert len(first) == len(second)
    for expected, row in zip(first, second):
        assert expected.keys() == row.keys()
        for name in expected.keys() - {"seconds", "images_per_second"}:
            assert row[name] == pytest.approx(expected[name], rel=tolerance, abs=tolerance), name


def test_runs_of_both_have_the_same_files_and_scores(prepared: Path) -> None:
    """A whole training of few steps, with all that decides its batches and its end."""
    options = [
        *("epochs=3", "batch_size=16", "ema=0.8", "data.sampler=balanced"),
        *("optimizer.lr=0.005", "loss.label_smoothing=0.1"),
    ]
    trainers = [train(f"both-{engine}", engine, *options) for engine in DEVICES]
    compare_histories(trainers, 0.01)
    folders = [trainer.run.path for trainer in trainers]
    files = [{file.name for file in folder.iterdir()} for folder in folders]
    assert files[0] == files[1]
    for name in ("best.params", "best_ema.params", "last.params"):
        expected, found = (parameters(folder / name) for folder in folders)
        assert list(expected) == list(found)
        assert {values.dtype for values in found.values()} == {np.dtype(np.float32)}
    engines = [Run.open(folder).config.engine for folder in folders]
    assert engines == list(DEVICES)


def test_early_stopping_ends_both_alike() -> None:
    options = ["epochs=9", "early_stopping.patience=2", "early_stopping.min_delta=1"]
    trainers = [train(f"early-{engine}", engine, *options) for engine in DEVICES]
    assert [len(trainer.progress.history) for trainer in trainers] == [3, 3]


def test_the_test_split_is_scored_with_the_best_weights(prepared: Path) -> None:
    """The files of weights are read back by each framework; warnings would fail this test."""
    trainer = train("read-back", "torch", "epochs=2")
    learner = trainer.learner
    own = learner.parameters()
    with learner.loaded(trainer.run.best_parameters):
        loaded = learner.parameters()
    best = parameters(trainer.run.best_parameters)
    for name, values in best.items():
        np.testing.assert_array_equal(loaded[name], values)
        np.testing.assert_array_equal(learner.parameters()[name], own[name])


@pytest.mark.parametrize("network", ["small_cnn", "mobilenetv2_0.25"])
def test_the_output_layer_learns_alone_on_kept_features(home: Path, network: str) -> None:
    """Each framework keeps features of its own, and learns from them what the other one learns."""
    options = [f"model.name={network}", "trainable=head", "epochs=3", "data.feature_views=2"]
    options += ["optimizer.lr=0.01", "ema=0.8", "loss.class_weights=balanced"]
    trainers = [train(f"head-{network}-gluon", "gluon", *options)]
    kept = {file.name for file in home.rglob("*.npy")}
    trainers.append(train(f"head-{network}-torch", "torch", *options))
    assert len(kept) == 3
    assert len(list(home.rglob("*.npy"))) == 6, "two training views and one of validation each"
    assert all(isinstance(trainer.learner.inputs, FeatureInputs) for trainer in trainers)
    compare_histories(trainers, 1e-4)
    expected, found = (parameters(trainer.run.last_parameters) for trainer in trainers)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-5, err_msg=name)
    states = [np.load(trainer.run.states_file, allow_pickle=False) for trainer in trainers]
    shapes = [{name: file[name].shape for name in file.files} for file in states]
    assert list(shapes[0].items()) == list(shapes[1].items())
    again = train(f"again-{network}", "torch", *options)
    assert len(list(home.rglob("*.npy"))) == 6, "they are found again"
    assert_same_end(trainers[1].run.path, again.run.path)


def test_mixed_images_keep_no_features() -> None:
    config = load_config(write_config(Path()), ["engine=torch", "trainable=head", "loss.mixup=0.4"])
    trainer = Trainer(config, DEVICES["torch"])
    assert isinstance(trainer.learner.inputs, PixelInputs)


def begin(name: str, engine: str) -> Path:
    """A run that an engine has begun and not finished."""
    run = Path("runs") / name
    arguments = ["--config", write_config(Path(), epochs=2), "--run", run, "--engine", engine]
    assert fashionai("train", *arguments) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    (run / "metrics.json").write_text(json.dumps({**metrics, "finished": False}))
    return run


@pytest.mark.parametrize(("begun", "other"), [("torch", "gluon"), ("gluon", "torch")])
def test_a_run_keeps_its_engine(begun: str, other: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = begin(f"kept-{begun}", begun)
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    capsys.readouterr()
    config = Path("small.yaml")
    refused = ["--config", config, "--run", run, "--resume", "--engine", other]
    assert fashionai("train", *refused) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "engine" in message
    assert begun in message
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before
    for options in (["--config", config], ["--config", config, "--engine", "auto"], []):
        assert fashionai("train", *options, "--run", run, "--resume") == 0
    assert Run(RunFolder(run)).config.engine == begun


def test_find_lr_computes_the_same_losses(capsys: pytest.CaptureFixture[str]) -> None:
    """The first losses, before rates are so high that rounding errors explode."""
    losses = []
    for engine in DEVICES:
        out = Path(f"lr-{engine}")
        arguments = ["--config", write_config(Path()), "--engine", engine, "--steps", 20]
        assert fashionai("find-lr", *arguments, "--out", out) == 0
        table = next(out.rglob("*.csv"))
        rows = [line.split(",") for line in table.read_text().splitlines()[1:]]
        losses.append([float(row[1]) for row in rows[:8]])
    assert len(losses[0]) == 8
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)


def test_cross_validation_trains_every_fold_by_it() -> None:
    arguments = ["--config", write_config(Path(), epochs=2), "--engine", "torch"]
    assert fashionai("cross-validate", *arguments, "--folds", 2, "--run", "runs/folds") == 0
    configs = sorted(Path("runs/folds").glob("*/config.yaml"))
    assert len(configs) == 2
    assert [load_config(file).engine for file in configs] == ["torch", "torch"]
    resumed = ["--run", "runs/folds", "--resume"]
    assert fashionai("cross-validate", *resumed) == 0
