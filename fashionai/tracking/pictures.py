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
from fashionai.reporting.score_plots import draw_confusion
from fashionai.runs import Run
from fashionai.scoring.splits import evaluate_run

# The tiles of the preview.
ROWS, COLUMNS = 4, 8


def pictures(config: Config, run: Run, devices: Sequence[Any]) -> Iterator[tuple[str, np.ndarray]]:
    """Names and pictures ``(H, W, 3) uint8``: augmented training images, a matrix for each task.

    The confusion matrices are those of the validation split by the best weights and centre crops.
    """
    yield "preview", pixels(draw_grid(training_tiles(config, ROWS * COLUMNS, 0), COLUMNS))
    engine = framework_of_devices(list(devices))
    for each in evaluate_run(run, "val", list(devices), crops=1, engine=engine):
        yield f"confusion/{each.task.short_name}", pixels(draw_confusion(each))


def pixels(figure: Figure) -> np.ndarray:
    """The figure as an image ``(H, W, 3) uint8`` RGB."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
