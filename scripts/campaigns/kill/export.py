"""Kills of fashionai export."""

from __future__ import annotations

from kill.data import make_run
from kill.scenario import Scenario

SCENARIOS = tuple(
    Scenario(
        f"export --format {name}",
        ("export", "--run", "runs/skirt", "--format", name, "--out", "exported"),
        prepare=make_run,
    )
    for name in ("onnx", "gluon")
)
