"""The SHA-256 of a run's weights, which metrics.json records."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable

from fashionai.errors import RunError
from fashionai.files import file_hash

# Keys of metrics.json: the SHA-256 of each file of best weights by its name, and that of weights
# which are about to replace such a file.
WEIGHTS_HASHES, COMING_HASHES = "weights_sha256", "coming_weights_sha256"
# Key of metrics.json: the SHA-256 of the weights that the training began with, see hash_arrays.
INITIAL_WEIGHTS = "initial_weights_sha256"
# Keys of metrics.json: what StartingWeights says about these weights. Random ones have neither.
INITIAL_SOURCE, INITIAL_LICENCE = "initial_weights_source", "initial_weights_licence"
BEGINNING = (INITIAL_WEIGHTS, INITIAL_SOURCE, INITIAL_LICENCE)
# How often weights that do not match are read: a training may be replacing them.
READINGS = 3

Metrics = Mapping[str, Any]


def recorded_hashes(metrics: Metrics, name: str) -> list[str]:
    """The hashes that a file of weights may have: of the current and of the coming weights."""
    by_name = (metrics.get(key) for key in (WEIGHTS_HASHES, COMING_HASHES))
    return [each[name] for each in by_name if isinstance(each, dict) and name in each]


def check_recorded(file: Path, metrics: Metrics, read_metrics: Callable[[], Metrics]) -> str:
    """The SHA-256 of a file of weights; RunError unless it is the recorded one, if there is one.

    A training that goes on may replace the file and then metrics.json, which is therefore read
    again with ``read_metrics``.
    """
    for _ in range(READINGS):
        found, recorded = file_hash(file), recorded_hashes(metrics, file.name)
        if not recorded or found in recorded:
            return found
        metrics = read_metrics()
    raise RunError(
        f"{file}: the SHA-256 differs from the one in metrics.json: the file is damaged or was "
        "replaced",
        "Restore it from a copy, or train the run again",
    )
