"""Measures a peer and this project in alternation, and reports the ratio of their figures.

Each side is a process of its own that sets up and warms up first. Then the two sides measure in
turn, one of them waiting while the other one measures. Two neighbouring measurements form a pair,
and each pair gives a ratio: the load of the machine changes slowly, so it affects both alike.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Optional

from measuring.options import Options
from measuring.results import result_row, write_results
from measuring.side import Side, SideProcess, running

# A waiting side that uses more than this share of one core disturbs the other side.
IDLE_SHARE = 0.02


class Target(NamedTuple):
    """What the ratio ours / peer should be: at least ``bound``, or at most ``bound``."""

    bound: float
    at_most: bool = False

    def __str__(self) -> str:
        return f"{'<=' if self.at_most else '>='} {self.bound:g}"

    def is_met(self, ratio: float) -> bool:
        """Whether a ratio meets the target."""
        return ratio <= self.bound if self.at_most else ratio >= self.bound


class Comparison(NamedTuple):
    """One row of the table; both sides measure in ``unit``."""

    title: str
    unit: str
    target: Target
    peer: Side
    ours: Side


class Summary(NamedTuple):
    """The median of each side, and the median, lowest and highest ratio of the pairs."""

    peer: float
    ours: float
    ratio: float
    lowest: float
    highest: float


def run_comparisons(comparisons: Iterable[Comparison], options: Options) -> None:
    """Measure and print one row per comparison, then write the results of the script."""
    write_results([compare(each, options) for each in comparisons], options)


def compare(comparison: Comparison, options: Options) -> dict[str, Any]:
    """Measure and print one row; returns its entry in the results file."""
    print(comparison.title, flush=True)
    with running(comparison.peer) as peer, running(comparison.ours) as ours:
        pairs = measure_pairs(peer, ours, comparison.unit, options.repetitions)
        busy = max(peer.idle_share, ours.idle_share)
    if busy > IDLE_SHARE:
        print(f"  warning: the waiting side used {busy:.0%} of a core", flush=True)
    sides = ((comparison.peer, peer), (comparison.ours, ours))
    summary = summarize(pairs)
    return result_row(
        row_cells(comparison, summary, ours.facts.get("engine")),
        **summary._asdict(),
        unit=comparison.unit,
        pairs=pairs,
        idle_share=busy,
        sides=[{"name": side.name, "script": side.script, **p.facts} for side, p in sides],
    )


def measure_pairs(
    peer: SideProcess, ours: SideProcess, unit: str, repetitions: int
) -> list[tuple[float, float]]:
    """Measure the two sides in turn and print each pair (peer, ours)."""
    pairs = []
    for _ in range(repetitions):
        pairs.append((peer.measure_beside(ours), ours.measure_beside(peer)))
        print(f"  {pairs[-1][0]:10.4g} {pairs[-1][1]:10.4g} {unit}", flush=True)
    return pairs


def summarize(pairs: Sequence[tuple[float, float]]) -> Summary:
    """Summarize pairs (peer, ours) that were measured one directly after the other."""
    ratios = [ours / peer for peer, ours in pairs]
    medians = [statistics.median(side) for side in zip(*pairs)]
    return Summary(medians[0], medians[1], statistics.median(ratios), min(ratios), max(ratios))


def row_cells(comparison: Comparison, summary: Summary, engine: Optional[str] = None) -> list[str]:
    """The cells of a row in the order of HEADER; ``engine`` is the one that computed ours."""
    peer, ours = (f"{value:.4g} {comparison.unit}" for value in (summary.peer, summary.ours))
    return [
        comparison.title,
        comparison.peer.name,
        peer,
        ours if engine is None else f"{ours}, engine {engine}",
        f"{summary.ratio:.3g}",
        f"{summary.lowest:.3g} to {summary.highest:.3g}",
        str(comparison.target),
        "yes" if comparison.target.is_met(summary.ratio) else "no",
    ]
