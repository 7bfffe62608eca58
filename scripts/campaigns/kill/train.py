"""Kills of fashionai train: a resumed run ends with the same parameters, bit for bit."""

from __future__ import annotations

from kill.data import make_prepared
from kill.scenario import Scenario

TRAIN = ("train", "--config", "small.yaml", "--run", "runs/new")
# A log and a state tell the time.
VOLATILE = ("runs/*/train.log", "runs/*/last.states.npz")
# Features of views; those of a killed process are removed an hour later.
REMAINS = ("home/features/.*.tmp",)
# Each option in turn.
OPTIONS = {
    "train": (),
    "train, averaged weights": ("ema=0.9",),
    "train, mixup": ("loss.mixup=0.2",),
    "train, one-cycle": ("schedule.name=one_cycle",),
    "train, several heads": ("task=[skirt, pant]",),
    "train, kept features": ("trainable=head", "data.feature_views=2"),
    "train, early stopping": ("early_stopping.patience=1", "epochs=4"),
    "train, PyTorch": ("engine=torch",),
    "train, PyTorch, all of it": (
        "engine=torch",
        "ema=0.9",
        "loss.mixup=0.2",
        "task=[skirt, pant]",
    ),
}

SCENARIOS = tuple(
    Scenario(
        name,
        (*TRAIN, *overrides),
        again=(*TRAIN, "--resume", *overrides),
        volatile=VOLATILE,
        remains=REMAINS,
        prepare=make_prepared,
    )
    for name, overrides in OPTIONS.items()
)
