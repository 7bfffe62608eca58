"""Kills of fashionai prepare."""

from __future__ import annotations

from kill.data import TASK, make_data
from kill.scenario import Scenario

SCENARIOS = (
    Scenario("prepare", ("prepare", "--task", TASK), prepare=lambda folder: make_data(folder, 24)),
    Scenario(
        "prepare --mode copy",
        ("prepare", "--task", TASK, "--mode", "copy"),
        prepare=lambda folder: make_data(folder, 12),
    ),
)
