"""Pictures of a finished run, as arrays for logs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fashionai.config import Config
from fashionai.frameworks.devices import framework_of_devices
from fashionai.reporting.preview import draw_grid, training_tiles
from fashionai.runs import Run
from fashionai.scoring.splits import evaluate_run

# The tiles of the preview.
ROWS, COLUMNS = 4, 8
# With more classes the cells of a matrix are not labelled.
MOST_LABELS = 40


def pictures(config: Config, run: Run, devices: Sequence[Any]) -> Iterator[tuple[str, np.ndarray]]:
    """Names and pictures ``(H, W, 3) uint8``: augmented training images, a matrix for each task.

    The confusion matrices are those of the validation split by the best weights and centre crops.
    """
    yield "preview", pixels(draw_grid(training_tiles(config, ROWS * COLUMNS, 0), COLUMNS))
    engine = framework_of_devices(list(devices))
    for each in evaluate_run(run, "val", list(devices), crops=1, engine=engine):
        figure = draw_confusion(each.confusion, each.labels)
        yield f"confusion/{each.task.short_name}", pixels(figure)


def pixels(figure: Figure) -> np.ndarray:
    """The figure as an image ``(H, W, 3) uint8`` RGB."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def draw_confusion(matrix: np.ndarray, labels: Sequence[str]) -> Figure:
    """Counts ``(L, L)``, true labels by row; the colours are shares of a row."""
    count = len(labels)
    side = min(12.0, 2.5 + 0.35 * count)
    figure = Figure(figsize=(side, side), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if count <= MOST_LABELS:
        axes.set_xticks(range(count), labels, rotation=90, parse_math=False)
        axes.set_yticks(range(count), labels, parse_math=False)
        for row, column in np.argwhere(matrix).tolist():
            colour = "white" if shares[row, column] > 0.5 else "black"
            text = f"{matrix[row, column]}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    return figure
