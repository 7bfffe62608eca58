"""Kills of fashionai tune: a search that goes on ends with the same trials, bit for bit."""

from __future__ import annotations

from pathlib import Path

from kill.data import make_prepared
from kill.scenario import Scenario

COMMAND = (
    *("tune", "--config", "small.yaml", "--space", "space.yaml", "--trials", "4"),
    *("--run", "runs/search", "--out", "tuned.yaml"),
)
OVERRIDES = ("epochs=1",)
SPACE = "optimizer.lr: {low: 0.0001, high: 0.1, log: true}\nschedule.name: [cosine, one_cycle]\n"
# Its file of trials tells the time, too; trials.csv has all else of it.
VOLATILE = ("runs/*/train.log", "runs/*/last.states.npz", "runs/*/trials.sqlite")


def make_space(folder: Path) -> None:
    """The prepared folder, and a search space."""
    make_prepared(folder)
    (folder / "space.yaml").write_text(SPACE)


SCENARIOS = (
    Scenario(
        "tune",
        (*COMMAND, *OVERRIDES),
        again=(*COMMAND, "--resume", *OVERRIDES),
        volatile=VOLATILE,
        prepare=make_space,
    ),
)
