"""Confident learning: which labels are probably wrong, from probabilities of held-out images.

Source: Northcutt, Jiang and Chuang 2021, Confident Learning: Estimating Uncertainty in Dataset
Labels (arXiv:1911.00068), sections 3.1 (the confident joint and its calibration) and 3.2 (pruning
by noise rate).
"""

from __future__ import annotations

import numpy as np

from fashionai.metrics import count_labels


def find_suspects(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The rows whose labels are probably wrong, ``(S,) int64``, the least credible first.

    ``labels`` ``(N,) int64`` are class indices, and ``probabilities`` ``(N, C)`` are by a network
    that has not been trained on the row. For each pair of classes as many rows are chosen as the
    estimated joint distribution has of them. A row whose label is the most probable class is no
    suspect. The least probable label is the least credible one.
    """
    classes = probabilities.shape[1]
    wrong = np.rint(estimate_joint(labels, probabilities) * len(labels)).astype(np.int64)
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    margins = probabilities - own
    chosen = np.zeros(len(labels), bool)
    for label in range(classes):
        rows = np.flatnonzero(labels == label)
        for other in np.flatnonzero(wrong[label] > 0):
            if other != label:
                order = np.argsort(-margins[rows, other], kind="stable")
                chosen[rows[order[: wrong[label, other]]]] = True
    chosen &= probabilities.argmax(axis=1) != labels
    suspects = np.flatnonzero(chosen)
    return suspects[np.argsort(own[suspects, 0], kind="stable")]


def estimate_joint(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The joint distribution of given labels (rows) and true ones (columns), ``(C, C) float64``.

    It sums to 1, and its rows to the shares of the labels (equation 3 of the paper). A class whose
    rows are all unsure counts as right.
    """
    classes = probabilities.shape[1]
    counts = confident_joint(labels, probabilities).astype(np.float64)
    unsure = np.flatnonzero(counts.sum(axis=1) == 0)
    counts[unsure, unsure] = 1
    shares = np.bincount(labels, minlength=classes) / len(labels)
    joint: np.ndarray = counts / counts.sum(axis=1, keepdims=True) * shares[:, None]
    return joint


def confident_joint(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Counts of rows by label and by the class that they confidently belong to, ``(C, C) int64``.

    A row confidently belongs to a class if its probability is at least the mean probability of the
    class among the rows with that label; of several such classes the most probable counts
    (equation 1 of the paper).
    """
    classes = probabilities.shape[1]
    rows = np.bincount(labels, minlength=classes)
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0]
    sums = np.bincount(labels, weights=own, minlength=classes)
    # A class without rows has no threshold, so no row belongs to it confidently.
    thresholds = np.where(rows > 0, sums / np.maximum(rows, 1), np.inf)
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    sure = confident.max(axis=1) >= 0
    return count_labels(labels[sure], confident[sure].argmax(axis=1), classes)
