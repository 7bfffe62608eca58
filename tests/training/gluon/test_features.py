"""An output layer that learns alone: on features that are computed once and kept."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fashionai.config import Config, load_config
from fashionai.datasets.prepared.samples import Samples, read_samples
from fashionai.errors import RunStoppedError, TrainingError
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.pipeline.augment import TrainingTransform
from fashionai.pipeline.decode import PIXELS_VERSION
from fashionai.pipeline.loader import Draws, Loader
from fashionai.runs import Run, create_run
from fashionai.training.batches import features as features_module
from fashionai.training.batches.inputs import FeatureInputs, PixelInputs
from fashionai.training.gluon.learner import GluonLearner
from fashionai.training.trainer import Trainer
from tests.support.commands import fashionai
from tests.support.networks import write_lively_weights
from tests.support.resuming import (
    Moment,
    assert_same_end,
    parameters,
    stop_in_step,
    stop_in_validation,
)
from tests.support.trained_runs import write_config

mx = import_mxnet()

IMAGES = 84
PLAIN = "data.augment=[]"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """FASHIONAI_HOME, empty; the prepared folder is the current one."""
    monkeypatch.chdir(prepared)
    monkeypatch.setenv("FASHIONAI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two files of weights of mobilenet0.25."""
    folder = tmp_path_factory.mktemp("weights")
    return [
        write_lively_weights(folder / f"{seed}.params", "mobilenet0.25", seed) for seed in range(2)
    ]


def make_config(*overrides: str) -> Config:
    return load_config(
        write_config(Path(), network="mobilenet0.25"), ["trainable=head", *overrides]
    )


def make_learner(pretrained: Path, *overrides: str, rows: Any = None) -> GluonLearner:
    config = make_config(*overrides)
    return GluonLearner(config, rows or read_samples(config, "train"), [mx.cpu()], pretrained)


def kept(home: Path) -> set[str]:
    return {file.name for file in home.rglob("*") if file.is_file()}


def kept_after(home: Path, pretrained: Path, *overrides: str, rows: Any = None) -> set[str]:
    """The files that preparing this training adds to an empty home."""
    shutil.rmtree(home, ignore_errors=True)
    make_learner(pretrained, *overrides, rows=rows).inputs.prepare(lambda: None)
    return kept(home)


# The result.


def train(config: Config, name: str, devices: int, live: bool) -> Trainer:
    contexts = [mx.cpu(index) for index in range(devices)]
    trainer = Trainer(config, contexts)
    if live:
        file = Path(str(config.model.pretrained))
        trainer.learner = GluonLearner(
            config, trainer.learner.train, contexts, file, pixels_only=True
        )
    trainer.fit(create_run(Path("runs") / name))
    return trainer


@pytest.mark.parametrize(
    ("network", "devices", "options"),
    [
        ("small_cnn", 1, ["loss.label_smoothing=0.1", "ema=0.8"]),
        ("mobilenetv2_0.25", 2, ["loss.class_weights=balanced", "optimizer.name=adamw"]),
    ],
)
def test_it_learns_what_it_would_learn_behind_the_live_layers(
    home: Path, tmp_path: Path, network: str, devices: int, options: Sequence[str]
) -> None:
    file = write_lively_weights(tmp_path / "w.params", network, seed=0)
    overrides = [f"model.name={network}", f"model.pretrained={file}", PLAIN, "epochs=4"]
    config = make_config(*overrides, "optimizer.lr=0.01", *options)
    live, cached = (train(config, f"{network}-{live}", devices, live) for live in (True, False))
    assert isinstance(live.learner.inputs, PixelInputs)
    assert isinstance(cached.learner.inputs, FeatureInputs)
    # Training and validation, one view each.
    assert len(kept(home)) == 2
    files = sorted(path.name for path in live.run.path.glob("*.params"))
    assert len(files) == (3 if config.ema else 2)
    begun = {name: value.asnumpy() for name, value in mx.nd.load(str(file)).items()}
    for name in files:
        expected, found = parameters(live.run.path / name), parameters(cached.run.path / name)
        assert expected.keys() == found.keys() == begun.keys()
        for key, values in expected.items():
            np.testing.assert_allclose(found[key], values, rtol=1e-4, atol=1e-4, err_msg=key)
            assert np.array_equal(found[key], begun[key]) == (not key.startswith("output"))
    assert len(live.progress.history) == len(cached.progress.history) == 4
    for expected_row, row in zip(live.progress.history, cached.progress.history):
        for name in expected_row.keys() - {"seconds", "images_per_second"}:
            assert row[name] == pytest.approx(expected_row[name], rel=1e-4, abs=1e-4), name
    first, last = (live.progress.history[at]["train_loss"] for at in (0, -1))
    assert last < 0.95 * first


# The views.


def stock_features(learner: GluonLearner, pixels: np.ndarray, folder: Path) -> np.ndarray:
    """By the network of Gluon's zoo, in evaluation, from (N, H, W, 3) uint8."""
    learner.network.save_parameters(str(folder / "all.params"))
    stock = mx.gluon.model_zoo.vision.get_model("mobilenet0.25", classes=6)
    stock.load_parameters(str(folder / "all.params"))
    images = (pixels / 255.0 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    features = stock.features(mx.nd.array(images.transpose(0, 3, 1, 2)))
    return features.asnumpy().reshape(len(pixels), -1)


def test_epochs_see_in_turn_the_views_that_the_loader_would_show_first(
    weights: list[Path], tmp_path: Path
) -> None:
    learner = make_learner(weights[0], "data.feature_views=3", "batch_size=12")
    views = []
    for epoch in range(6):
        view: dict[int, np.ndarray] = {}
        for batch in learner.batches(epoch):
            assert batch.images.shape[:2] == (12, 1)
            view.update(zip(batch.rows.tolist(), batch.images[:, 0]))
        assert sorted(view) == list(range(IMAGES))
        views.append(np.stack([view[row] for row in range(IMAGES)]).reshape(IMAGES, -1))
    data = learner.config.data
    for epoch in range(3):
        assert np.array_equal(views[epoch], views[epoch + 3])
        loader = Loader(
            learner.train.paths, TrainingTransform(data), IMAGES, seed=learner.config.seed
        )
        (shown,) = loader.batches(np.arange(IMAGES), epoch)
        expected = stock_features(learner, shown.images[:, 0], tmp_path)
        assert expected.std() > 0.1
        np.testing.assert_allclose(views[epoch], expected, rtol=1e-5, atol=1e-5)
    assert not np.allclose(views[0], views[1], rtol=1e-4, atol=1e-4)

    # A row that a balanced epoch draws again has the next view.
    again = Draws(np.full(4, 7), np.full(4, 1), np.arange(4))
    (batch,) = learner.inputs.training(again, 0, 0)
    for found, view_number in zip(batch.images[:, 0], (1, 2, 0, 1)):
        assert np.array_equal(found.ravel(), views[view_number][7])


def test_no_more_views_than_are_shown(home: Path, weights: list[Path]) -> None:
    assert len(kept_after(home, weights[0], "data.feature_views=3")) == 3
    assert len(kept_after(home, weights[0], "data.feature_views=3", "epochs=2")) == 2
    assert len(kept_after(home, weights[0], "data.feature_views=3", PLAIN)) == 1
    off = "data.augment=[{name: mirror, p: 0}]"
    assert kept_after(home, weights[0], off) == kept_after(home, weights[0], PLAIN)


# The key.


def changed_image(rows: Samples, folder: Path) -> Samples:
    """The same rows, the last of which has an image with one other pixel."""
    image = cv2.imread(str(rows.paths[-1]))
    image[0, 0] += 1
    cv2.imwrite(str(folder / "other.png"), image)
    return rows._replace(paths=[*rows.paths[:-1], folder / "other.png"])


def test_features_are_found_again_by_what_decides_them(
    home: Path, weights: list[Path], tmp_path: Path
) -> None:
    first = kept_after(home, weights[0], PLAIN)
    for same in (
        ["optimizer.lr=0.5", "optimizer.name=adam", "loss.label_smoothing=0.2", "ema=0.9"],
        ["batch_size=5", "epochs=3", "seed=9", "data.feature_views=2", "data.workers=1"],
    ):
        assert kept_after(home, weights[0], PLAIN, *same) == first, same
    for other in (
        ["data.resize_short=40"],
        ["data.crop=28"],
        ["data.mean=[0.4,0.4,0.4]"],
        ["data.std=[0.3,0.3,0.3]"],
    ):
        assert not kept_after(home, weights[0], PLAIN, *other) & first, other
    assert not kept_after(home, weights[1], PLAIN) & first
    rows = read_samples(make_config(), "train")
    assert kept_after(home, weights[0], PLAIN, rows=rows) == first
    assert not kept_after(home, weights[0], PLAIN, rows=changed_image(rows, tmp_path)) & first
    backwards = rows._replace(paths=rows.paths[::-1])
    assert not kept_after(home, weights[0], PLAIN, rows=backwards) & first
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features_module, "PIXELS_VERSION", PIXELS_VERSION + 1)
        assert not kept_after(home, weights[0], PLAIN) & first


def test_augmented_features_depend_on_the_seed_and_the_steps(
    home: Path, weights: list[Path]
) -> None:
    two = "data.feature_views=2"
    first = kept_after(home, weights[0], two)
    assert kept_after(home, weights[0], two, "optimizer.lr=0.5") == first
    assert kept_after(home, weights[0], "data.feature_views=3") > first
    assert not kept_after(home, weights[0], two, "seed=9") & first
    assert not kept_after(home, weights[0], two, "data.augment=[{name: mirror}]") & first


# The files.


def test_a_damaged_file_is_computed_again(
    home: Path, weights: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    (name,) = kept_after(home, weights[0], PLAIN)
    file = home / "features" / name
    whole = file.read_bytes()
    array = np.load(file)
    assert (array.dtype, len(array)) == (np.float32, IMAGES)
    middle = len(whole) // 2
    inputs = make_learner(weights[0], PLAIN).inputs
    caplog.set_level("INFO", logger="fashionai.training")
    for damaged in (
        b"",
        whole[:-1],
        whole[:50],
        whole + b"x",
        whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        bytes([whole[0] ^ 1]) + whole[1:],
        whole[:-1] + bytes([whole[-1] ^ 1]),
    ):
        file.write_bytes(damaged)
        caplog.clear()
        inputs._training = []
        inputs.prepare(lambda: None)
        assert file.read_bytes() == whole
        assert f"{file}: damaged, computing it again" in caplog.messages
    number = file.stat().st_ino
    make_learner(weights[0], PLAIN).inputs.prepare(lambda: None)
    assert file.stat().st_ino == number


def test_half_precision_changes_no_feature_and_is_logged(
    home: Path, weights: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="fashionai.training")
    files = []
    for precision, lines in (("float32", 0), ("float16", 1)):
        learner = make_learner(weights[0], PLAIN, f"precision={precision}")
        assert learner.loss_scale is None
        learner.inputs.prepare(lambda: None)
        files.append(kept(home))
        assert sum("in float32" in message for message in caplog.messages) == lines
    assert files[0] == files[1] != set()


def test_only_the_first_of_several_processes_shows_progress(
    home: Path,
    weights: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for name, value in (("WORLD_SIZE", "2"), ("LOCAL_RANK", "0")):
        monkeypatch.setenv(name, value)
    for rank, bars in (("1", False), ("0", True)):
        monkeypatch.setenv("RANK", rank)
        kept_after(home, weights[0], PLAIN)
        assert ("features: " in capsys.readouterr().err) == bars


def test_what_does_not_fit_is_not_begun(
    home: Path, weights: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 50_000))
    with pytest.raises(TrainingError) as error:
        make_learner(weights[0], PLAIN).inputs.prepare(lambda: None)
    assert str(error.value) == (
        f"{home / 'features'}: 0.1 MB of features do not fit, 0.1 MB are free. "
        "Free disk space there, or set FASHIONAI_HOME to another folder"
    )
    assert kept(home) == set()


def test_a_home_that_is_no_folder(
    home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    home.write_text("")
    config = write_config(tmp_path)
    assert fashionai("train", "--config", config, "--run", "runs/no", "trainable=head") == 2
    assert capsys.readouterr().err == (
        f"Error: {home / 'features'}: cannot be written: Not a directory. "
        "Free disk space there, or set FASHIONAI_HOME to another folder\n"
    )


# The loop.


def test_stopped_and_resumed_it_ends_with_the_same_bits(home: Path) -> None:
    """Also when it is stopped while features are computed, or they are gone when it goes on."""
    config = make_config("epochs=3", "data.feature_views=2", "ema=0.9", "model.name=small_cnn")
    whole, run = (create_run(Path("runs") / f"kept-{name}") for name in ("whole", "stopped"))
    Trainer(config, [mx.cpu()]).fit(whole)
    assert len(kept(home)) == 3
    shutil.rmtree(home)

    trainer = Trainer(config, [mx.cpu()], Run(run))
    stop_while_preparing(trainer)
    with pytest.raises(RunStoppedError, match="stopped in epoch 1 after step 0,"):
        trainer.fit(run)
    for arrange, number in ((stop_in_step, 14), (stop_in_validation, 3), (stop_in_step, 4)):
        trainer = Trainer(config, [mx.cpu()], Run(run))
        arrange(trainer, Moment(number))
        with pytest.raises(RunStoppedError):
            trainer.fit(run)
        shutil.rmtree(home)
    Trainer(config, [mx.cpu()], Run(run)).fit(run)
    assert_same_end(whole.path, run.path)
    assert "features of 84 images" in run.log_file.read_text()


def stop_while_preparing(trainer: Trainer) -> None:
    prepare, moment = trainer.learner.inputs.prepare, Moment(2)

    def prepare_and_stop(check: Any) -> None:
        def pass_by() -> None:
            moment.pass_by()
            check()

        prepare(pass_by)

    trainer.learner.inputs.prepare = prepare_and_stop


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("loss.cutmix=1.0", "loss.mixup and loss.cutmix mix the pixels of two images"),
        ("model.name=squeezenet1.0", "dropout0_fwd, before the output layer, is random"),
    ],
)
def test_what_cannot_be_kept_is_computed_in_every_epoch(
    home: Path, override: str, reason: str
) -> None:
    run = create_run(Path("runs/live"))
    Trainer(make_config("epochs=1", override), [mx.cpu()]).fit(run)
    (told,) = [line for line in run.log_file.read_text().splitlines() if "frozen" in line]
    assert "the frozen layers are computed in every epoch: " in told
    assert told.endswith(reason)
    assert kept(home) == set()


def test_only_a_head_is_trained_on_features(home: Path) -> None:
    config = make_config("epochs=1", "trainable=last-stage")
    run = create_run(Path("runs/last-stage"))
    Trainer(config, [mx.cpu()]).fit(run)
    assert "frozen" not in run.log_file.read_text()
    assert kept(home) == set()


def test_the_other_commands_know_them_too(home: Path, tmp_path: Path) -> None:
    """A rate is sought without them, and each fold has its own."""
    config = write_config(tmp_path, epochs=1)
    settings = ["trainable=head", PLAIN]
    assert fashionai("find-lr", "--config", config, "--steps", "20", *settings) == 0
    assert kept(home) == set()
    folds = ["--folds", "2", "--crops", "1", "--run", "runs/folds"]
    assert fashionai("cross-validate", "--config", config, *folds, *settings) == 0
    assert len(kept(home)) == 4
    assert all(Run.open(Path(f"runs/folds/fold-{number}")).is_finished for number in (1, 2))
