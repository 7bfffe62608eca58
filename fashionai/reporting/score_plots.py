"""Pictures of scores for papers: confusion matrix, precision over thresholds, reliability."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fashionai.files.outputs import PICTURES, check_is_no_file, check_outputs, try_folder
from fashionai.metrics import precision_curve, true_classes
from fashionai.reporting.plots import as_plain_text, save_figure
from fashionai.scoring.evaluate import TaskEvaluation
from fashionai.scoring.probabilities.calibration import calibration_bins, expected_calibration_error
from fashionai.tasks import folder_safe

# Larger matrices have no numbers, and much larger ones no names, for which there is no room.
MOST_NUMBERS, MOST_NAMES = 20, 60
# Inches of a matrix: per class, and of its smallest and largest side.
PER_CLASS, SMALLEST, LARGEST = 0.45, 3.5, 14.0
SIZE = (4.5, 3.6)


def check_plots(option: str, folder: Path, inputs: Iterable[Path], overwrite: bool) -> None:
    """Raise ConfigError or DataError unless draw_scores may write into the folder.

    ``option``, ``inputs`` and ``overwrite`` are as for check_outputs.
    """
    check_is_no_file(folder)
    try_folder(option, folder)
    files = [file for name in DRAWINGS for file in sorted(folder.glob(f"{name}-*.png"))]
    check_outputs(option, files, PICTURES, inputs, overwrite)


def draw_scores(folder: Path, evaluations: Sequence[TaskEvaluation]) -> list[Path]:
    """Write ``confusion-TASK.png`` and so on for every task; returns the files.

    Where only labels were predicted, there are no probabilities, and the confusion matrix is the
    only picture.
    """
    files = []
    for evaluation in evaluations:
        for name, draw in DRAWINGS.items():
            if name == "confusion" or evaluation.scores:
                file = folder / f"{name}-{folder_safe(evaluation.task.short_name) or 'task'}.png"
                files.append(save_figure(draw(evaluation), file))
    return files


def draw_confusion(evaluation: TaskEvaluation) -> Figure:
    """The confusion matrix: colours are shares of the true class, numbers are counts."""
    counts, labels = evaluation.confusion, [as_plain_text(each) for each in evaluation.labels]
    side = float(np.clip(1.5 + PER_CLASS * len(labels), SMALLEST, LARGEST))
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(labels) <= MOST_NUMBERS:
        for row, column in np.argwhere(counts).tolist():
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(
                column,
                row,
                f"{counts[row, column]:,}",
                ha="center",
                va="center",
                color=colour,
                fontsize="small",
            )
    if len(labels) <= MOST_NAMES:
        axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize="small")
        axes.set_yticks(range(len(labels)), labels, fontsize="small")
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    return figure


def draw_precision(evaluation: TaskEvaluation) -> Figure:
    """Precision over the share of images that are output; its mean over thresholds is AP."""
    figure, axes = _figure("share of images output", "precision")
    curve = precision_curve(evaluation.probabilities, evaluation.marks)
    ap = evaluation.scores["map"]
    axes.plot(curve.rows / len(evaluation.marks), curve.precision, label="precision")
    axes.axhline(ap, color="tab:gray", linestyle="--", label=f"AP {ap:.4f}")
    axes.set_xlim(0, 1)
    axes.legend(fontsize="small")
    return figure


def draw_reliability(evaluation: TaskEvaluation) -> Figure:
    """Accuracy over the largest probability, in bins, beside perfect calibration."""
    figure, axes = _figure("largest probability", "accuracy")
    truth = true_classes(evaluation.marks)
    rows, confidence, accuracy = calibration_bins(evaluation.probabilities, truth)
    error = expected_calibration_error(evaluation.probabilities, truth)
    edges = np.arange(len(rows)) / len(rows)
    known = rows > 0
    axes.bar(
        edges[known],
        accuracy[known],
        1 / len(rows),
        align="edge",
        color="lightsteelblue",
        edgecolor="tab:blue",
    )
    axes.plot(
        confidence[known],
        accuracy[known],
        "o",
        color="tab:blue",
        markersize=4,
        label=f"calibration error {error:.4f}",
    )
    axes.plot([0, 1], [0, 1], color="tab:gray", linestyle="--", label="perfect calibration")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.legend(fontsize="small")
    return figure


DRAWINGS: dict[str, Callable[[TaskEvaluation], Figure]] = {
    "confusion": draw_confusion,
    "precision": draw_precision,
    "reliability": draw_reliability,
}


def _figure(x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(alpha=0.3)
    return figure, axes
