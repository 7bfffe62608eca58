"""The numbers of an epoch as curves."""

from __future__ import annotations

import math
import re

from fashionai.training.records.history import EpochRow

# Columns of one kind get a common heading: val_map is the curve val/map.
KIND = re.compile(r"^(train|val|ema|test)_")


def curves_of(row: EpochRow) -> dict[str, float]:
    """The numbers of an epoch by the name of their curve, without those that are NaN or infinite.

    The number of the epoch is the curves' step.
    """
    return {
        KIND.sub(r"\1/", name): float(value)
        for name, value in row.items()
        if name != "epoch" and math.isfinite(value)
    }
