"""What a training logs about its settings."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import pytest

from fashionai.config import load_config
from fashionai.runs import RunFolder
from fashionai.training.messages import log_settings


@pytest.mark.parametrize(
    ("steps", "text"), [(Fraction(10), "10 steps"), (Fraction(101, 10), "10 or 11 steps")]
)
def test_the_steps_of_an_epoch_are_whole_numbers(
    steps: Fraction, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        log_settings(load_config("skirt"), RunFolder(Path("runs/skirt")), steps, None)
    assert caplog.messages == [f"resnet50_v2, {text} per epoch -> runs/skirt"]
