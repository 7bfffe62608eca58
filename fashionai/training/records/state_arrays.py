"""The arrays of a training's state that are the same for every framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

import numpy as np

from fashionai.files.formats.array_archives import ArrayArchive
from fashionai.training.steps.loss_scale import LossScale

# Beginnings of names, see Learner.state.
PARAMETERS, OPTIMIZER, AVERAGE = "parameters/", "optimizer/", "average/"
LOSS_SCALE = "loss_scale"


def read_averages(
    archive: ArrayArchive, current: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The averaged weights of a state, of the names, shapes and types of the current ones."""
    return {
        name: archive.read(AVERAGE + name, values.shape, values.dtype)
        for name, values in current.items()
    }


def known_averages(
    archive: ArrayArchive, current: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The averaged weights of a state, and the current ones of names that it does not have."""
    found = archive.names()
    return {
        name: archive.read(AVERAGE + name, values.shape, values.dtype)
        if AVERAGE + name in found
        else values
        for name, values in current.items()
    }


def restore_scale(scale: Optional[LossScale], archive: ArrayArchive) -> int:
    """Restore the scale of float16, if there is one; returns the number of skipped updates."""
    if scale is None:
        return 0
    scale.restore(archive.read(LOSS_SCALE, (3,), np.float64))
    return scale.skipped


def names_of_others(archive: ArrayArchive) -> set[str]:
    """The names of averaged weights and of the scale, also where the training has none."""
    return {name for name in archive.names() if name.startswith(AVERAGE) or name == LOSS_SCALE}
