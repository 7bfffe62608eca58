"""Batches of views, and probabilities, whichever framework computes the network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Optional

import numpy as np

# The number of images that the CPU computes at once, per thread. More images are not faster,
# because the activations no longer fit into the caches: with 160 views at once, quantized
# ResNet-50 takes 1/6 more time, and MobileNetV2 takes 7 GB of memory instead of 1 GB.
IMAGES_PER_THREAD = 8

# A result that a device is computing. Calling it waits for the result and returns it.
Pending = Callable[[], np.ndarray]


def mean_over_views(
    begin: Callable[[np.ndarray], Pending], batches: Iterable[np.ndarray], batch_size: int
) -> Iterator[np.ndarray]:
    """Yield the mean over views ``(B, C)`` of the results of ``begin`` for batches ``(B, V, ...)``.

    ``begin`` gets all views of a batch, ``(B * V, ...)``, and its result has two
    dimensions. Each batch is started before the result of the previous one is read,
    so that the device is never idle. A batch of fewer than ``batch_size`` rows is
    padded with zeros, because static graphs are made for one shape; the results of
    the padding are dropped.
    """
    previous: Optional[tuple[Pending, int]] = None
    for images in batches:
        padded = pad(images, batch_size)
        current = begin(padded.reshape(-1, *padded.shape[2:])), len(images)
        if previous is not None:
            yield _mean_of(*previous, batch_size)
        previous = current
    if previous is not None:
        yield _mean_of(*previous, batch_size)


def pad(array: np.ndarray, rows: int) -> np.ndarray:
    """The array with rows of zeros added at its end until it has ``rows`` rows."""
    if len(array) == rows:
        return array
    return np.concatenate([array, np.zeros((rows - len(array), *array.shape[1:]), array.dtype)])


def _mean_of(pending: Pending, rows: int, batch_size: int) -> np.ndarray:
    """The mean over views of the first ``rows`` rows of a padded batch."""
    outputs = pending()
    mean: np.ndarray = outputs.reshape(batch_size, -1, outputs.shape[-1])[:rows].mean(axis=1)
    return mean


def probabilities_of(logits: np.ndarray, columns: Sequence[slice]) -> np.ndarray:
    """Probabilities ``(N, C) float64`` of logits; those of each task's columns sum to 1."""
    return np.concatenate([softmax(logits[:, part]) for part in columns], axis=1)


def rows_at_once(rows: int, per_thread: int, threads: int) -> int:
    """The number of rows per part on the CPU. Parts are as even as possible."""
    parts = math.ceil(rows / (per_thread * threads))
    return math.ceil(rows / max(1, parts))


def softmax(logits: np.ndarray) -> np.ndarray:
    """The softmax of logits ``(N, C)``: probabilities ``(N, C) float64`` that sum to 1 per row."""
    # The logits of a diverged network give inf - inf = NaN; callers check for it.
    with np.errstate(invalid="ignore"):
        shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    exponentials = np.exp(shifted)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)
