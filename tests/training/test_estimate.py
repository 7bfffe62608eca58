"""What a person learns before the first epoch."""

from __future__ import annotations

import pytest

from fashionai.config import Config
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.training.estimate import duration, estimate_lines

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


def test_forty_epochs_of_resnet50_without_a_gpu_are_estimated_at_days() -> None:
    config = Config(task="skirt")
    # 17,400 training and 1,933 validation images at 4.3 images/s: 40 * (17,400 + 644) / 4.3 s.
    lines = estimate_lines(config, 1 / 4.3, 17_400, 1_933, 0, [mx.cpu()], 1.5)
    assert lines[0].startswith("about 46 h 38 min for 40 epochs: 4.3 images/s on cpu(0)")
    assert any("model.name=" in line and "data.crop=" in line for line in lines[1:])


def test_a_short_run_gets_no_advice_and_a_resumed_one_counts_what_is_left() -> None:
    config = Config(task="skirt", epochs=4)
    lines = estimate_lines(config, 0.01, 900, 300, 3, [mx.cpu()], 1.5)
    assert len(lines) == 1
    assert lines[0].startswith("about 10 s for 1 epoch: 100.0 images/s on cpu(0), 1.5 GB")
