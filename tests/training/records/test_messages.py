"""What a training logs about its settings."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Optional

import numpy as np
import pytest

from fashionai.config import Config, load_config
from fashionai.datasets.prepared.prepare import prepare, summary_notes
from fashionai.datasets.prepared.samples import read_samples
from fashionai.datasets.reading import read_own_folders
from fashionai.fold_plan import FoldSettings, plan_folds
from fashionai.frameworks.devices import Device
from fashionai.metrics import advice_on_validation
from fashionai.progress import no_bar
from fashionai.runs import RunFolder
from fashionai.training.batches.plan import BatchPlan
from fashionai.training.records import messages
from fashionai.training.records.messages import (
    COLLAPSED,
    USELESS,
    log_collapse,
    log_data,
    log_end,
    log_settings,
    resume_command,
)
from tests.support.data_trees import put
from tests.support.images import encode
from tests.support.learners import make_samples


@pytest.mark.parametrize(
    ("images", "text"),
    [
        (320, "10 steps per epoch -> runs/skirt"),
        (323, "10 or 11 steps per epoch -> runs/skirt"),
        (7, "1 step per epoch -> runs/skirt; a batch has 7 images: there are no more"),
    ],
)
def test_the_steps_of_an_epoch_are_whole_numbers(
    images: int, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = load_config("skirt", ["batch_size=32"])
    plan = BatchPlan(config, make_samples(images), 1)
    with caplog.at_level(logging.INFO):
        log_settings(config, RunFolder(Path("runs/skirt")), plan, None)
    assert "; ".join(caplog.messages) == f"resnet50_v2, {text}"


@pytest.mark.parametrize(
    ("mixing", "devices", "names"),
    [
        (["loss.mixup=0.2"], 4, "loss.mixup"),
        (["loss.mixup=0.2", "loss.cutmix=1"], 4, "loss.mixup and loss.cutmix"),
        (["loss.mixup=0.2"], 1, None),
        ([], 4, None),
    ],
)
def test_mixing_on_several_devices_is_told(
    caplog: pytest.LogCaptureFixture, mixing: list[str], devices: int, names: Optional[str]
) -> None:
    config = load_config("skirt", ["batch_size=8", *mixing])
    plan = BatchPlan(config, make_samples(320), devices)
    with caplog.at_level(logging.INFO):
        log_settings(config, RunFolder(Path("runs/skirt")), plan, None)
    told = " ".join(caplog.messages[1:])
    expected = f"{names}: each of 4 devices mixes its own images, one device would mix the whole"
    assert told == (f"{expected} batch" if names else "")


def test_a_small_validation_split_is_told_except_within_a_cross_validation(
    prepared_skirts: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(prepared_skirts)
    config = load_config("skirt")
    train, val = (read_samples(config, split) for split in ("train", "val"))
    told = advice_on_validation(12)
    fold = config.changed({"data.folds_file": "folds.csv", "data.fold": 1})
    with caplog.at_level(logging.INFO):
        log_data(config, train, val)
        assert " ".join(caplog.messages[1:]) == told
        log_data(fold, train, val)
        assert " ".join(caplog.messages).count(told) == 1
        many = val._replace(heads=np.repeat(val.heads, 9))
        log_data(config, train, many)
        assert " ".join(caplog.messages).count(told) == 1


def test_a_class_of_two_images_is_told_by_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    for index, (name, number) in enumerate((("ant", 8), ("bee", 8), ("cow", 2))):
        for i in range(number):
            put(Path(f"own/{name}/{i}.jpg"), encode(index, np.random.default_rng(100 * index + i)))
    told = "hard to learn from so few training images: cow (1)"
    own = read_own_folders("own", Path("own"), ())
    assert told in summary_notes(prepare(own, Path("data"), progress=no_bar))
    config = Config.model_validate(
        {"task": "own", "data": {"folder": "data"}, "model": {"name": "small_cnn"}}
    )
    train, val = (read_samples(config, split) for split in ("train", "val"))
    with caplog.at_level(logging.INFO):
        log_data(config, train, val)
        assert caplog.messages[1] == told
        plan_folds(config, FoldSettings(folds=3), no_bar)
    assert caplog.messages[-1] == "fewer images than folds, so that some folds miss them: cow (2)"


def test_one_class_of_validation_images_is_no_collapse(
    prepared_skirts: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(prepared_skirts)
    val = read_samples(load_config("skirt"), "val")
    one = val._replace(marks=np.broadcast_to(val.marks[:1], val.marks.shape))
    history = [{"epoch": epoch, "val_predicted_classes": 1} for epoch in (1, 2, 3)]
    with caplog.at_level(logging.INFO):
        log_collapse(history, 9, one)
        assert caplog.messages == []
        log_collapse(history, 9, val)
        assert caplog.messages == [COLLAPSED[0] % 3, COLLAPSED[1]]


@pytest.mark.parametrize(
    ("monitor", "ema", "split", "told"),
    [
        ("map", {}, "train", True),
        ("last", {}, "train", False),
        ("map", {}, "val", False),  # 12 images
        ("map", {"ema_map": 0.5, "ema_predicted_classes": 3}, "train", False),
        ("last", {"ema_map": 0.5, "ema_predicted_classes": 1}, "train", True),
    ],
)
def test_weights_that_know_one_class_alone_are_told_at_the_end(
    prepared_skirts: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    monitor: str,
    ema: dict[str, float],
    split: str,
    told: bool,
) -> None:
    monkeypatch.chdir(prepared_skirts)
    config = load_config("skirt").changed({"monitor": monitor})
    rows = [
        {"epoch": 1, "val_map": 0.4, "val_log_loss": 1.0, "val_predicted_classes": 1, **ema},
        {"epoch": 2, "val_map": 0.3, "val_log_loss": 1.0, "val_predicted_classes": 3, **ema},
    ]
    rows = [{**row, "ema_log_loss": 1.0} for row in rows] if ema else rows
    with caplog.at_level(logging.INFO):
        log_end(config, rows, RunFolder("runs/a"), read_samples(config, split))
    assert "validation mAP" in caplog.messages[0]
    assert caplog.messages[1:] == ([USELESS] if told else [])


@pytest.mark.parametrize(
    ("device", "processes", "started", "command"),
    [
        ("cpu", 1, None, "fashionai train --run 'my run' --resume --device cpu"),
        ("gpu", 1, None, "fashionai train --run 'my run' --resume --gpus 4"),
        ("gpu", 4, "4,5,6,7", "fashionai train --run 'my run' --resume --gpus 4,5,6,7"),
        ("gpu", 8, None, "the command that started all 8 processes, with --resume"),
    ],
)
def test_the_command_to_resume_chooses_the_same_devices(
    monkeypatch: pytest.MonkeyPatch, device: str, processes: int, started: str, command: str
) -> None:
    """On a machine with GPUs; processes that torchrun has started know only their own one."""
    monkeypatch.setattr(messages, "compute_capabilities", lambda: [(9, 0)] * 8)
    if started is not None:
        monkeypatch.setenv(messages.GPUS_OF_PROCESSES, started)
    own = [Device(device, 4 if device == "gpu" else 0)]
    assert resume_command(RunFolder(Path("my run")), own, processes) == command
