"""Learning rates at every step against their definitions."""

from __future__ import annotations

import math

import pytest

from fashionai.config import Config
from fashionai.training.schedules import learning_rate

EPOCHS, STEPS = 12, 7


def rates(schedule: dict[str, object]) -> list[float]:
    config = Config.model_validate(
        {"task": "skirt", "epochs": EPOCHS, "optimizer": {"lr": 0.2}, "schedule": schedule}
    )
    return [learning_rate(config, step, STEPS) for step in range(EPOCHS * STEPS)]


def test_constant_is_the_same_at_every_step() -> None:
    assert rates({"name": "constant"}) == [0.2] * (EPOCHS * STEPS)


def test_step_multiplies_once_for_each_finished_epoch_listed() -> None:
    expected = []
    rate = 0.2
    for epoch in range(EPOCHS):
        if epoch in (3, 8):
            rate *= 0.5
        expected += [rate] * STEPS
    actual = rates({"name": "step", "factor": 0.5, "epochs": [3, 8, 12]})
    assert actual == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("final_factor", [0.0, 0.1])
def test_cosine_follows_the_formula_behind_the_warm_up(final_factor: float) -> None:
    warm_up = 2 * STEPS
    total = EPOCHS * STEPS
    actual = rates({"name": "cosine", "warmup_epochs": 2.0, "final_factor": final_factor})
    for step in range(warm_up):
        assert actual[step] == pytest.approx(0.2 * (step + 1) / warm_up, rel=1e-12)
    lowest = 0.2 * final_factor
    for step in range(warm_up, total):
        angle = math.pi * (step - warm_up) / (total - warm_up)
        expected = lowest + (0.2 - lowest) * 0.5 * (1 + math.cos(angle))
        assert actual[step] == pytest.approx(expected, rel=1e-9, abs=1e-15)
    assert actual[warm_up] == 0.2


def test_warm_up_of_part_of_an_epoch_and_steps_do_not_disturb_each_other() -> None:
    actual = rates({"name": "step", "warmup_epochs": 0.5, "factor": 0.1, "epochs": [1]})
    assert actual[:4] == pytest.approx([0.05, 0.1, 0.15, 0.2])
    assert actual[STEPS - 1] == 0.2
    assert actual[STEPS] == pytest.approx(0.02)
