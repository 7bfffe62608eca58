"""Kills of fashionai train: a resumed run ends with the same parameters, bit for bit."""

from __future__ import annotations

from kill.data import make_prepared
from kill.scenario import Scenario

TRAIN = ("train", "--config", "small.yaml", "--run", "runs/new")
# A log and a state tell the time.
VOLATILE = ("runs/*/train.log", "runs/*/last.states.npz")
# Each option in turn.
OPTIONS = {
    "train": (),
    "train, averaged weights": ("ema=0.9",),
    "train, mixup": ("mixup=0.2",),
    "train, one-cycle": ("schedule.name=one_cycle",),
    "train, early stopping": ("early_stopping.patience=1",),
}

SCENARIOS = tuple(
    Scenario(
        name,
        (*TRAIN, *overrides),
        again=(*TRAIN, "--resume", *overrides),
        volatile=VOLATILE,
        prepare=make_prepared,
    )
    for name, overrides in OPTIONS.items()
)
