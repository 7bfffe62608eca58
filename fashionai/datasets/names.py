"""Names that all prepared folders share; the command line needs them before anything else."""

from __future__ import annotations

from collections.abc import Sequence

from fashionai.errors import ConfigError, nearest

SPLITS = ("train", "val", "test")
# The splits that nothing is trained on.
HELD_OUT_SPLITS = ("val", "test")
# What the images with a predicted class are called beside the splits, which have labels.
PSEUDO_LABELS = "pseudo-labels"
# How prepare puts images into the class folders.
MODES = ("hardlink", "copy", "symlink")
# What prepare does about near-duplicates.
REPORT, GROUP, IGNORE = NEAR_DUPLICATES = ("report", "group", "ignore")


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """ConfigError unless the value of an argument is one of these choices."""
    if value not in choices:
        raise ConfigError(f"{name}: found '{value}'", nearest(value, choices))
