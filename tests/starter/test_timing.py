"""Which engine the speed of a network is measured with."""

from __future__ import annotations

import pytest

from fashionai.config import Config
from fashionai.frameworks.devices import Device
from fashionai.starter import timing
from fashionai.training.learners import engine_choice
from fashionai.training.speed.estimate import Speed


@pytest.mark.parametrize(
    ("network", "device", "wanted", "measured"),
    [
        ("mobilenetv2_1.0", "cpu", "auto", "torch"),
        ("mobilenetv2_1.0", "cpu", "gluon", "gluon"),
        ("resnet18_v2", "cpu", "auto", "gluon"),
        ("resnet18_v2", "cpu", "torch", "torch"),
        ("mobilenetv2_1.0", "gpu", "gluon", "auto"),
    ],
)
def test_it_is_the_engine_that_long_trainings_take(
    monkeypatch: pytest.MonkeyPatch, network: str, device: str, wanted: str, measured: str
) -> None:
    engines = []

    def measure(config: Config, contexts: object) -> Speed:
        engines.append(config.engine)
        return Speed(1.0, 0.3)

    monkeypatch.setattr(engine_choice, "has_torch", lambda: True)
    monkeypatch.setattr(timing, "measure_speed", measure)
    timing.measure_network("birds", "data", network, 64, 100, [Device(device)], wanted)
    assert engines == [measured]
