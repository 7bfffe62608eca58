"""How well probabilities agree with how often predictions are correct."""

from __future__ import annotations

from typing import NamedTuple

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
    rows, confidence, accuracy = calibration_bins(probabilities, labels, bins)
    known = rows > 0
    if not known.any():
        return float("nan")
    difference = np.abs(accuracy[known] - confidence[known])
    return float(difference @ rows[known] / rows.sum())


class CalibrationBins(NamedTuple):
    """The rows of each of B bins of equal width of the largest probability, ``(B,)`` each.

    ``rows`` are their numbers. The mean largest probability ``confidence`` and the share of
    correct predictions ``accuracy`` are NaN for bins without rows.
    """

    rows: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray


def calibration_bins(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS
) -> CalibrationBins:
    """The bins of expected_calibration_error, which a reliability diagram shows."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    # Inner edges that belong to the bin below them; 0 is put into the first bin.
    edges = np.arange(1, bins) / bins
    bin_of_row = np.searchsorted(edges, confidence, side="left")
    rows = np.bincount(bin_of_row, minlength=bins)
    sums = (np.bincount(bin_of_row, each, minlength=bins) for each in (confidence, correct))
    means = [np.where(rows > 0, each / np.maximum(rows, 1), np.nan) for each in sums]
    return CalibrationBins(rows, *means)
