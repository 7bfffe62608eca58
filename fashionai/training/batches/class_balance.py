"""Imbalanced classes: class weights for the loss, and an order that shows all classes equally."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Optional, Union

import numpy as np

from fashionai.datasets.prepared.samples import Samples
from fashionai.errors import ConfigError, nearest
from fashionai.metrics import YES
from fashionai.pipeline.loader import SHUFFLE_STREAM
from fashionai.tasks import columns_of


def class_weights(
    setting: Union[str, Mapping[str, float]], samples: Samples, beta: float = 0.0
) -> Optional[np.ndarray]:
    """The weight of every class in the loss, ``(C,) float32``; None when all weights are 1.

    ``setting`` is ``loss.class_weights``: ``none``, ``balanced``, ``effective``, or a mapping
    from class names to weights, in which a class that is not named has weight 1.
    ``balanced`` is n_samples / (n_classes * n_samples of the class) within each task,
    as in scikit-learn, over the classes that have samples, so that the mean weight of
    a sample is 1. ``effective`` is proportional to (1 - beta) / (1 - beta ** n_samples of the
    class), with mean 1 over those classes (arXiv:1901.05555). Raises ConfigError for a class
    name that is unknown or that several tasks have.
    """
    if setting == "none":
        return None
    if isinstance(setting, Mapping):
        return _named_weights(setting, samples)
    # scikit-learn's own function would take 0.7 s to import, and refuses classes without samples.
    weights = np.ones(samples.marks.shape[1], np.float32)
    counts = (samples.marks == YES).sum(axis=0)
    for part in columns_of(samples.tasks):
        own = counts[part]
        weights[part] = _effective(own, beta) if setting == "effective" else _balanced(own)
    return weights


def _balanced(counts: np.ndarray) -> np.ndarray:
    """The weights of one task's classes, ``(C,)``, that have so many samples."""
    weights = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return _one_without_samples(weights, counts)


def _effective(counts: np.ndarray, beta: float) -> np.ndarray:
    """As _balanced, by the effective number of samples."""
    weights = (1 - beta) / (1 - beta ** np.maximum(counts, 1))
    return _one_without_samples(weights / weights[counts > 0].mean(), counts)


def _one_without_samples(weights: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Classes without samples get weight 1: label smoothing and soft targets give them a share of
    every target, and the weight of a very rare class would make that share rule the loss.
    """
    chosen: np.ndarray = np.where(counts > 0, weights, 1.0)
    return chosen


def _named_weights(setting: Mapping[str, float], samples: Samples) -> np.ndarray:
    names = [name for task in samples.tasks for name in task.classes]
    weights = np.ones(len(names), np.float32)
    for name, weight in setting.items():
        if name not in names:
            hint = nearest(name, names)
            raise ConfigError(f"loss.class_weights: unknown class '{name}'. {hint}")
        if names.count(name) > 1:
            raise ConfigError(f"loss.class_weights: several tasks have the class '{name}'")
        weights[names.index(name)] = weight
    return weights


def balanced_order(samples: Samples, seed: int, epoch: int) -> np.ndarray:
    """Indices of N samples in random order, each class equally often, ``(N,) int64``.

    The counts of the classes differ by at most one. A sample is repeated only after
    all samples of its class were drawn. The result depends on seed and epoch alone.
    """
    rng = np.random.default_rng((seed, epoch, 0, SHUFFLE_STREAM))
    truth = (samples.marks == YES).argmax(axis=1)
    classes = rng.permutation(np.unique(truth))
    per_class, remainder = divmod(len(truth), len(classes))
    drawn = []
    for position, index in enumerate(classes):
        count = per_class + 1 if position < remainder else per_class
        members = np.flatnonzero(truth == index)
        rounds = math.ceil(count / len(members))
        drawn.append(np.concatenate([rng.permutation(members) for _ in range(rounds)])[:count])
    return rng.permutation(np.concatenate(drawn))
