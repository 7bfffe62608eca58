"""Licences of weights, of those that a run began with, and in messages."""

from __future__ import annotations

from typing import NamedTuple

from fashionai.runs import Run, RunFolder
from fashionai.runs.recorded_weights import INITIAL_LICENCE, INITIAL_SOURCE

# In the SPDX identifiers of licences that allow no commercial use, such as CC-BY-NC-4.0.
NON_COMMERCIAL = "-NC-"


# The beginnings of lines of train.log.
SOURCE_LINE, LICENCE_LINE = "pretrained weights: ", "licence of the weights: "
UNKNOWN = "unknown"


class Origin(NamedTuple):
    """The source of pretrained weights and their licence, each empty if unknown."""

    source: str
    licence: str


def origin_of(run: Run) -> Origin:
    """The pretrained weights that a run began with, or the averaged runs of a soup.

    Runs of earlier versions have it in train.log alone.
    """
    if INITIAL_SOURCE in run.metrics:
        return Origin(run.metrics[INITIAL_SOURCE], run.metrics.get(INITIAL_LICENCE, ""))
    averaged = run.metrics.get("soup", {}).get("runs", {})
    taken = [path for path, each in averaged.items() if each["taken"]]
    # The averaged runs began alike.
    log = RunFolder(taken[0]).log_file if taken else run.folder.log_file
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    source, licence = (
        next((line.partition(begin)[2] for line in reversed(lines) if begin in line), "")
        for begin in (SOURCE_LINE, LICENCE_LINE)
    )
    return Origin(source, "" if licence == UNKNOWN else licence)


def shown_licence(licence: str) -> str:
    """An SPDX identifier as users see it, which may be empty."""
    return licence or UNKNOWN


def licence_lines(licence: str) -> list[str]:
    """What a user should know about the licence of weights: one line or two."""
    lines = [f"{LICENCE_LINE}{shown_licence(licence)}"]
    if NON_COMMERCIAL in f"{licence}-":
        lines.append(f"{licence} does not allow commercial use of these weights")
    return lines
