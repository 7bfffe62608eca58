"""Kills of fashionai predict."""

from __future__ import annotations

from kill.data import TASK, make_run
from kill.scenario import Scenario

SCENARIOS = (
    Scenario(
        "predict",
        ("predict", "--task", TASK, "--run", "runs/skirt", "--out", "out/submission.csv"),
        prepare=make_run,
    ),
)
