"""From probabilities to predicted labels, with a threshold where the task has one.

Two kinds of task have a threshold. With a held-out background, the prediction is the most
probable class where its probability reaches the threshold, else the background. With two
classes it is the second class where its probability exceeds the threshold.
"""

from __future__ import annotations

from typing import Optional

import numpy as np

from fashionai.errors import ConfigError, counted
from fashionai.tasks import Task

# The threshold of a task of two classes unless another one is given.
EVEN_ODDS = 0.5


def check_threshold(task: Task) -> None:
    """ConfigError unless a threshold can change the task's predicted labels."""
    if not task.holds_out_background and len(task.classes) != 2:
        raise ConfigError(
            f"--threshold: {task.name} learns {counted(len(task.classes), 'class')}, "
            "expected two classes or a held-out background"
        )


def predicted_labels(
    task: Task, probabilities: np.ndarray, threshold: Optional[float] = None
) -> np.ndarray:
    """Indices ``(N,) int64`` into the task's labels for probabilities ``(N, C)``."""
    best = probabilities.argmax(axis=1)
    if threshold is None:
        return best
    check_threshold(task)
    if task.holds_out_background:
        return np.where(probabilities.max(axis=1) < threshold, len(task.classes), best)
    return (probabilities[:, 1] > threshold).astype(np.int64)
