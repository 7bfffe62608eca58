"""Kills of fashionai cross-validate: a resumed one ends with the same files, bit for bit."""

from __future__ import annotations

from kill.data import make_prepared
from kill.scenario import Scenario

COMMAND = ("cross-validate", "--config", "small.yaml", "--folds", "2", "--run", "runs/folds")
OVERRIDES = ("epochs=1",)

SCENARIOS = (
    Scenario(
        "cross-validate",
        (*COMMAND, *OVERRIDES),
        again=(*COMMAND, "--resume", *OVERRIDES),
        volatile=("runs/*/train.log", "runs/*/last.states.npz"),
        prepare=make_prepared,
    ),
)
