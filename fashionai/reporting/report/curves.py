"""The plots of a report: training, precision over thresholds, reliability, and image sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fashionai.metrics import PrecisionCurve, precision_curve, true_classes
from fashionai.reporting.plots import LOSS_CURVES, SCORE_CURVES, read_history
from fashionai.reporting.report.data_set import SizeCounts
from fashionai.reporting.report.plot import (
    Axis,
    Plot,
    Series,
    Table,
    axis,
    draw_plot,
    share_axis,
    thinned,
)
from fashionai.reporting.report.results import Result
from fashionai.reporting.report.subjects import Subject
from fashionai.scoring.probabilities.calibration import calibration_bins

# Rows of the table behind a curve, and of the table of sizes.
TABLE_ROWS = 21
MOST_SIZES, SIZE_BINS = 20, 10
History = Mapping[str, Sequence[float]]


def training_plots(subject: Subject) -> list[Plot]:
    """The losses and the scores over epochs; for a cross-validation one line per fold."""
    histories = {
        run.path.name: read_history(run.folder)
        for run in subject.runs
        if run.folder.history_file.is_file()
    }
    if not histories:
        return []
    if subject.is_cross_validation:
        return [
            _fold_plot("Validation loss", "val_log_loss", histories),
            _fold_plot("Validation mAP", "val_map", histories),
        ]
    (history,) = histories.values()
    return [
        _history_plot("Loss", LOSS_CURVES, history),
        _history_plot("Score", SCORE_CURVES, history),
    ]


def _history_plot(name: str, curves: Sequence[tuple[str, str]], history: History) -> Plot:
    known = [(key, label) for key, label in curves if key in history]
    series = [Series(label, list(zip(history["epoch"], history[key]))) for key, label in known]
    ends = "; ".join(f"{label} {history[key][-1]:.4f}" for key, label in known)
    return _epoch_plot(name, f"After the last epoch: {ends}.", series)


def _fold_plot(name: str, key: str, histories: Mapping[str, History]) -> Plot:
    series = [
        Series(fold, list(zip(history["epoch"], history[key])))
        for fold, history in histories.items()
    ]
    last = [history[key][-1] for history in histories.values()]
    return _epoch_plot(
        name, f"After the last epoch of each fold: {min(last):.4f} to {max(last):.4f}.", series
    )


def _epoch_plot(name: str, summary: str, series: Sequence[Series]) -> Plot:
    epochs = sorted({epoch for each in series for epoch, _ in each.points})
    by_epoch = [dict(each.points) for each in series]
    cells = [
        [f"{epoch:g}", *(f"{found[epoch]:.4f}" if epoch in found else "" for found in by_epoch)]
        for epoch in epochs
    ]
    values = [value for each in series for _, value in each.points if np.isfinite(value)]
    # The first epochs of a diverging loss would flatten the rest of the curve.
    limit = 2 * np.quantile(values, 0.9) if values else 1.0
    if any(value > limit for value in values):
        summary += f" Values above {limit:.3g} are cut off."
    axes = (
        axis("epoch", epochs, integer=True),
        axis(name[0].lower() + name[1:], [value for value in values if value <= limit]),
    )
    table = Table(["epoch", *(each.label for each in series)], cells)
    return draw_plot(f"{name} over epochs", summary, axes, series, table)


def precision_plot(results: Sequence[Result]) -> Plot:
    """Precision over the share of rows that are output, from the highest threshold to the lowest.

    The mean of a run's curve over its thresholds is its AP.
    """
    series, cells, summaries = [], [], []
    for result in results:
        scored = result.evaluation
        curve = precision_curve(scored.probabilities, scored.marks)
        total, ap = len(scored.marks), scored.scores["map"]
        points = thinned(len(curve.rows))
        shares = curve.rows[points] / total
        series.append(
            Series(result.subject.name, list(zip(shares.tolist(), curve.precision[points])))
        )
        summaries.append(f"{result.subject.name}: the mean over all thresholds, AP, is {ap:.4f}.")
        cells += _precision_rows(result.subject.name, curve, total)
    scored = results[0].evaluation
    first = precision_curve(scored.probabilities, scored.marks)
    low = min((value for each in series for _, value in each.points), default=0.0)
    across = _output_axis(first, len(scored.marks))
    table = Table(["run", "threshold", "images output", "share", "precision"], cells)
    axes = across, axis("precision", [low, 1.0])
    return draw_plot("Precision over thresholds", " ".join(summaries), axes, series, table)


def _output_axis(curve: PrecisionCurve, total: int) -> Axis:
    """Shares of the rows; below each the threshold of the first run that outputs so many."""
    ticks = []
    for tick in range(0, 101, 20):
        at = int(np.searchsorted(curve.rows, total * tick / 100))
        known = tick and at < len(curve.rows)
        threshold = f"\n≥ {curve.thresholds[at]:.3g}" if known else ""
        ticks.append((tick / 100, f"{tick} %{threshold}"))
    return Axis("images output, and the threshold for it", 0, 1, ticks)


def _precision_rows(name: str, curve: PrecisionCurve, total: int) -> list[list[str]]:
    return [
        [
            name,
            f"{curve.thresholds[at]:.6f}",
            f"{curve.rows[at]:,}",
            f"{curve.rows[at] / total:.1%}",
            f"{curve.precision[at]:.4f}",
        ]
        for at in thinned(len(curve.rows), TABLE_ROWS).tolist()
    ]


def reliability_plot(result: Result) -> Plot:
    """Accuracy by bins of the largest probability, beside the diagonal of perfect calibration."""
    probabilities, truth = result.evaluation.probabilities, true_classes(result.evaluation.marks)
    rows, confidence, accuracy = calibration_bins(probabilities, truth)
    error = result.evaluation.calibration_error
    known, edges = np.flatnonzero(rows).tolist(), np.linspace(0, 1, len(rows) + 1)
    gap = float((confidence[known] - accuracy[known]) @ rows[known]) / max(1, int(rows.sum()))
    tends = "too sure" if gap > 0 else "not sure enough"
    if not round(gap, 4):
        tends = "as sure as it should be"
    summary = f"Expected calibration error {error:.4f}; on the whole, the run is {tends}."
    cells = [
        [
            f"{edges[at]:.3f} to {edges[at + 1]:.3f}",
            f"{rows[at]:,}",
            f"{confidence[at]:.4f}",
            f"{accuracy[at]:.4f}",
        ]
        for at in known
    ]
    return draw_plot(
        f"Reliability: {result.subject.name}",
        summary,
        (share_axis("largest probability"), share_axis("accuracy")),
        [Series("accuracy of the images in a bin", _as_dots(confidence[known], accuracy[known]))],
        Table(["largest probability", "images", "mean probability", "accuracy"], cells),
        [(edges[at], edges[at + 1], accuracy[at]) for at in known],
        [Series("perfect calibration", [(0, 0), (1, 1)])],
    )


def _as_dots(across: np.ndarray, down: np.ndarray) -> list[tuple[float, float]]:
    """Points that a line does not connect: between each two is one that is not a number."""
    gap = (float("nan"), float("nan"))
    return [point for pair in zip(across.tolist(), down.tolist()) for point in (pair, gap)]


def size_plot(sizes: Mapping[str, SizeCounts]) -> Plot:
    """Image counts over the short side, by split."""
    sides = [min(size) for counts in sizes.values() for size in counts]
    edges = np.linspace(min(sides), max(sides), SIZE_BINS + 1)
    series, cells = [], []
    for split, counts in sizes.items():
        shorts = np.array([min(size) for size in counts])
        numbers = np.array(list(counts.values()))
        in_bins, _ = np.histogram(shorts, edges, weights=numbers)
        shares = in_bins / numbers.sum()
        centres = (edges[:-1] + edges[1:]) / 2
        series.append(Series(split, list(zip(centres.tolist(), shares.tolist()))))
        for (width, height), number in counts.most_common(MOST_SIZES):
            cells.append([split, f"{width} x {height}", f"{number:,}"])
    shares_seen = [value for each in series for _, value in each.points]
    axes = axis("short side in pixels", sides), axis("share of images", [0, *shares_seen])
    table = Table(["split", "size", "images"], cells)
    summary = "; ".join(_size_summary(split, counts) for split, counts in sizes.items())
    return draw_plot("Image sizes", f"{summary}.", axes, series, table)


def _size_summary(split: str, counts: SizeCounts) -> str:
    shorts = sorted(min(size) for size in counts.elements())
    return f"{split}: short sides of {shorts[0]} to {shorts[-1]} pixels"
