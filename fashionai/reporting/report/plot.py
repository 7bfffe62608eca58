"""Line and bar plots as coordinates, which a template writes as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator


class Frame(NamedTuple):
    """The size of a plot and the edges of its area, in pixels."""

    width: int = 480
    height: int = 308
    left: int = 48
    right: int = 454
    top: int = 10
    bottom: int = 256


FRAME = Frame()
# Style classes of lines; further ones repeat the colours with other dashes.
COLOURS, DASHES = 4, 3
MOST_POINTS = 400

Point = tuple[float, float]


class Axis(NamedTuple):
    """The range of an axis, its label, and its ticks: a value and a text of one or more lines."""

    label: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]


class Series(NamedTuple):
    """A named line through points; it is interrupted where a point is not finite."""

    label: str
    points: Sequence[Point]


class Table(NamedTuple):
    """The numbers of a plot."""

    heading: Sequence[str]
    rows: Sequence[Sequence[str]]


class DrawnLine(NamedTuple):
    """A line in pixels: its label, style class and SVG path; ``dots`` are points without a line."""

    label: str
    style: str
    path: str
    dots: Sequence[Point]


class DrawnBar(NamedTuple):
    """A bar in pixels."""

    x: float
    y: float
    width: float
    height: float


class DrawnTick(NamedTuple):
    """The place of a tick along its axis in pixels, and the lines of its text."""

    place: float
    lines: Sequence[str]


class Plot(NamedTuple):
    """A plot in pixels, and the table of its numbers.

    ``summary`` says in a sentence what is to be seen.
    """

    title: str
    summary: str
    x_label: str
    y_label: str
    x_ticks: Sequence[DrawnTick]
    y_ticks: Sequence[DrawnTick]
    lines: Sequence[DrawnLine]
    bars: Sequence[DrawnBar]
    table: Table


def axis(label: str, values: Sequence[float], integer: bool = False) -> Axis:
    """An axis of round ticks, or of whole ones, that has room for all values that are finite."""
    finite = [value for value in values if np.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if low == high:
        low, high = low - 0.5, high + 0.5
    locator = MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10], integer=integer)
    ticks = locator.tick_values(low, high)
    return Axis(label, ticks[0], ticks[-1], [(tick, f"{tick:.6g}") for tick in ticks])


def share_axis(label: str) -> Axis:
    """An axis from 0 to 1."""
    return Axis(label, 0, 1, [(tick / 5, f"{tick / 5:g}") for tick in range(6)])


def draw_plot(
    title: str,
    summary: str,
    axes: tuple[Axis, Axis],
    series: Sequence[Series],
    table: Table,
    bars: Sequence[tuple[float, float, float]] = (),
    reference: Sequence[Series] = (),
) -> Plot:
    """Place lines, bars (left end, right end, height) and dashed reference lines on two axes."""
    x, y = axes
    styles = [f"line-{at % COLOURS} dash-{at // COLOURS % DASHES}" for at in range(len(series))]
    lines = [_line(each, style, axes) for each, style in zip(series, styles)]
    lines += [_line(each, "reference", axes) for each in reference]
    return Plot(
        title,
        summary,
        x.label,
        y.label,
        [DrawnTick(_across(value, x), text.split("\n")) for value, text in x.ticks],
        [DrawnTick(_down(value, y), [text]) for value, text in y.ticks],
        lines,
        [
            DrawnBar(
                _across(left, x),
                _down(height, y),
                round(_across(right, x) - _across(left, x), 1),
                round(_down(y.low, y) - _down(height, y), 1),
            )
            for left, right, height in bars
        ],
        table,
    )


def thinned(count: int, most: int = MOST_POINTS) -> np.ndarray:
    """Positions of at most so many of ``count`` points, evenly spaced, with both ends, int64."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def _across(value: float, x: Axis) -> float:
    share = (value - x.low) / (x.high - x.low)
    return round(FRAME.left + share * (FRAME.right - FRAME.left), 1)


def _down(value: float, y: Axis) -> float:
    share = (value - y.low) / (y.high - y.low)
    return round(FRAME.bottom - share * (FRAME.bottom - FRAME.top), 1)


def _line(series: Series, style: str, axes: tuple[Axis, Axis]) -> DrawnLine:
    parts: list[list[Point]] = [[]]
    for across, down in series.points:
        if np.isfinite(across) and np.isfinite(down):
            parts[-1].append((_across(across, axes[0]), _down(down, axes[1])))
        elif parts[-1]:
            parts.append([])
    path = " ".join(
        "M" + " ".join(f"{across},{down}" for across, down in part)
        for part in parts
        if len(part) > 1
    )
    return DrawnLine(series.label, style, path, [part[0] for part in parts if len(part) == 1])
