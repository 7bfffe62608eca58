"""How well probabilities agree with how often predictions are correct."""

from __future__ import annotations

import numpy as np

BINS = 15


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS
) -> float:
    """The expected calibration error of predictions, in [0, 1]; NaN without rows.

    ``probabilities (N, C)`` lie in [0, 1], and ``labels (N,)`` are the indices of the true classes.
    Rows are put into ``bins`` bins of equal width, ((b - 1) / bins, b / bins], by their largest
    probability. The error is the mean over rows of the difference between the accuracy and the
    mean largest probability of the row's bin (Guo et al. 2017, arXiv:1706.04599, equation 3).
    """
    if not len(labels):
        return float("nan")
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    # Inner edges that belong to the bin below them; 0 is put into the first bin.
    edges = np.arange(1, bins) / bins
    row_bins = np.searchsorted(edges, confidence, side="left")
    differences = np.bincount(row_bins, correct - confidence, minlength=bins)
    return float(np.abs(differences).sum() / len(labels))
