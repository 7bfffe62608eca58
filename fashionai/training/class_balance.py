"""Lopsided classes: weights in the loss, or an order that draws all classes alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional, Union

import numpy as np

from fashionai.datasets.prepared.samples import Samples
from fashionai.errors import ConfigError, nearest
from fashionai.metrics import YES
from fashionai.pipeline.loader import SHUFFLE_STREAM
from fashionai.tasks import columns_of


def class_weights(wanted: Union[str, Mapping[str, float]], rows: Samples) -> Optional[np.ndarray]:
    """The factor of every class in the loss, ``(C,) float32``; None for all ones.

    ``balanced`` is N / (classes * rows of the class) within each task, as in
    scikit-learn, over the classes that have rows: its mean over rows is 1. A
    mapping names classes; the others count 1. Raises ConfigError for a class
    that there is not, or that several tasks have.
    """
    if wanted == "none":
        return None
    weights = np.ones(rows.marks.shape[1], np.float32)
    if isinstance(wanted, Mapping):
        names = [name for task in rows.tasks for name in task.classes]
        for name, weight in wanted.items():
            if names.count(name) != 1:
                problem = "unknown class" if name not in names else "several tasks have the class"
                raise ConfigError(f"loss.class_weights: {problem} '{name}'. {nearest(name, names)}")
            weights[names.index(name)] = weight
        return weights
    # scikit-learn's own function would take 0.7 s to import, and refuses classes without rows.
    counts = (rows.marks == YES).sum(axis=0)
    for part in columns_of(rows.tasks):
        total, present = counts[part].sum(), np.count_nonzero(counts[part])
        weights[part] = total / (present * np.maximum(counts[part], 1))
    return weights


def balanced_rows(rows: Samples, seed: int, epoch: int) -> np.ndarray:
    """As many rows as there are, each class as often as the others (within one), ``(N,) int64``.

    Samples of a class repeat only after all of it were drawn. A function of seed
    and epoch alone.
    """
    rng = np.random.default_rng((seed, epoch, 0, SHUFFLE_STREAM))
    truth = (rows.marks == YES).argmax(axis=1)
    classes = rng.permutation(np.unique(truth))
    total = len(truth)
    drawn = []
    for position, index in enumerate(classes):
        count = total // len(classes) + (position < total % len(classes))
        members = np.flatnonzero(truth == index)
        rounds = -(-count // len(members))
        drawn.append(np.concatenate([rng.permutation(members) for _ in range(rounds)])[:count])
    return rng.permutation(np.concatenate(drawn))
