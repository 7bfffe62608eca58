"""Kills of fashionai evaluate."""

from __future__ import annotations

from kill.data import make_run
from kill.scenario import Scenario

SCENARIOS = (
    Scenario(
        "evaluate",
        ("evaluate", "--run", "runs/skirt", "--json", "out/scores.json"),
        prepare=make_run,
    ),
)
