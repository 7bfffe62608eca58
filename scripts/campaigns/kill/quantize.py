"""Kills of fashionai quantize."""

from __future__ import annotations

from kill.data import make_run
from kill.scenario import Scenario

SCENARIOS = (
    Scenario("quantize", ("quantize", "--run", "runs/skirt", "--max-loss", "1"), prepare=make_run),
)
