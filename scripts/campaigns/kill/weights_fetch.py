"""Kills of fashionai weights fetch: from a server of this machine, and from a file."""

from __future__ import annotations

from kill.data import WEIGHTS_MODEL, make_weights
from kill.scenario import Scenario

# The campaign's server serves the files of the folder that is being worked in.
ADDRESS = "http://127.0.0.1:{port}/{folder}/weights.params"

SCENARIOS = (
    Scenario(
        "weights fetch URL",
        ("weights", "fetch", WEIGHTS_MODEL, "--from", ADDRESS),
        prepare=make_weights,
    ),
    Scenario(
        "weights fetch FILE",
        ("weights", "fetch", WEIGHTS_MODEL, "--from", "weights.params"),
        prepare=make_weights,
    ),
)
