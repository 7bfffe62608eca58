"""Predictions of a teacher as targets: of an ensemble, or of runs that have not seen the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

import numpy as np

from fashionai.config import DataConfig
from fashionai.datasets.prepared.samples import Samples
from fashionai.errors import DataError, counted
from fashionai.metrics import YES
from fashionai.predictions.formats import (
    TABLE,
    PredictedRow,
    RowKey,
    format_of,
    read_predictions,
    row_key,
    source_names,
)
from fashionai.tasks import Task, columns_of


def read_teacher(data: DataConfig, samples: Samples) -> Optional[np.ndarray]:
    """The distributions of ``data.soft_targets``, ``(N, C) float64``; None without such a file.

    They are zero outside the columns of a sample's task. Rows are joined by image and task; rows
    of other images are left out. Probabilities p become p ** (1 / temperature), divided by their
    sum (arXiv:1503.02531, section 2). A sample with a pseudo-label and without a row has the
    predicted class. Raises DataError for other samples without a row, and for other classes than
    those of the task.
    """
    if data.soft_targets is None:
        return None
    file = Path(data.soft_targets)
    rows = {row.key: row for row in read_predictions(file)}
    teacher = np.zeros(samples.marks.shape)
    for head, (task, columns) in enumerate(zip(samples.tasks, columns_of(samples.tasks))):
        chosen = samples.of_task(head)
        keys = _keys(task, [samples.sources[row] for row in chosen], next(iter(rows.values())))
        taught = np.array([key in rows for key in keys], bool) | ~np.isin(chosen, samples.pseudo)
        own, chosen = chosen[~taught], chosen[taught]
        teacher[own, columns] = samples.marks[own, columns] == YES
        keys = [key for key, is_taught in zip(keys, taught) if is_taught]
        teacher[chosen, columns] = _probabilities(file, task, rows, keys)
    # Divided by the largest one: not all powers of a row then are too small for a number.
    softened = (teacher / teacher.max(axis=1, keepdims=True)) ** (1 / data.soft_temperature)
    distributions: np.ndarray = softened / softened.sum(axis=1, keepdims=True)
    return distributions


def _keys(task: Task, sources: Sequence[str], example: PredictedRow) -> list[RowKey]:
    """The keys of images in the format of a row; tables do not name their task."""
    is_table = not example.task.name
    names = source_names(TABLE if is_table else format_of(task), task, sources)
    return [row_key(name, example.task if is_table else task) for name in names]


def _probabilities(
    file: Path, task: Task, rows: Mapping[RowKey, PredictedRow], keys: Sequence[RowKey]
) -> np.ndarray:
    """The probabilities ``(N, C)`` of one task's rows; errors as for read_teacher."""
    missing = [image for image, name in keys if (image, name) not in rows]
    if missing:
        more = f" and {len(missing) - 3:,} more" if len(missing) > 3 else ""
        raise DataError(
            f"data.soft_targets: {file} has no row for {counted(len(missing), 'training image')} "
            f"of {task.name}: {', '.join(missing[:3])}{more}",
            "Predict the training images too, for instance with fashionai cross-validate",
        )
    chosen = [rows[key] for key in keys]
    for row in chosen:
        if row.task.classes != task.classes:
            found, expected = (", ".join(each.classes) for each in (row.task, task))
            raise DataError(
                f"data.soft_targets: {file} has the classes {found}, {task.name} has {expected}"
            )
    return np.array([row.probabilities for row in chosen]).reshape(-1, len(task.classes))
