"""What a training logs about its settings."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from fashionai.config import load_config
from fashionai.datasets.prepared.samples import read_samples
from fashionai.metrics import advice_on_validation
from fashionai.runs import RunFolder
from fashionai.training.messages import log_data, log_settings


@pytest.mark.parametrize(
    ("steps", "text"), [(Fraction(10), "10 steps"), (Fraction(101, 10), "10 or 11 steps")]
)
def test_the_steps_of_an_epoch_are_whole_numbers(
    steps: Fraction, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        log_settings(load_config("skirt"), RunFolder(Path("runs/skirt")), steps, None)
    assert caplog.messages == [f"resnet50_v2, {text} per epoch -> runs/skirt"]


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
