"""How well probabilities agree with how often predictions are correct, and scalings that help."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fashionai.metrics import average_precision, log_loss, true_classes
from fashionai.models.views import softmax
from fashionai.predictions.scaling import Scaling, log_probabilities

BINS = 15
# Limits of what is fitted: without them, rows that are all predicted correctly have no minimum.
LARGEST_FACTOR, LARGEST_BIAS = 20.0, 10.0


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


class CalibrationFigures(NamedTuple):
    """How well probabilities of one task agree with its labels, and its mAP.

    ``is_scaled`` tells whether they are those after a calibration.
    """

    is_scaled: bool
    error: float
    log_loss: float
    map: float

    @property
    def stage(self) -> str:
        """``before`` or ``after`` the calibration."""
        return "after" if self.is_scaled else "before"

    def to_json(self) -> dict[str, float]:
        """The figures by the names that they have in files."""
        return {"calibration_error": self.error, "log_loss": self.log_loss, "map": self.map}


def calibration_figures(
    probabilities: np.ndarray, marks: np.ndarray, is_scaled: bool = False
) -> CalibrationFigures:
    """The figures of probabilities and marks, both ``(N, C)`` as for fashionai.metrics.

    Every row has a YES. Its class alone counts as correct, as for the accuracy.
    """
    return CalibrationFigures(
        is_scaled,
        expected_calibration_error(probabilities, true_classes(marks)),
        log_loss(probabilities, marks),
        average_precision(probabilities, marks),
    )


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> Scaling:
    """The temperature with the smallest log loss on ``(N, C)`` probabilities of true ``labels``.

    It lies in [1 / LARGEST_FACTOR, LARGEST_FACTOR]; N is at least 1.
    """
    logs, classes = log_probabilities(probabilities), probabilities.shape[1]

    def loss(log_temperature: float) -> float:
        return _log_loss(logs / np.exp(log_temperature), labels)

    # Imported late, as below: 0.2 s, which only fits need.
    from scipy.optimize import minimize_scalar

    # The loss is convex in 1 / T, and so has one minimum in ln T as well.
    limit = np.log(LARGEST_FACTOR)
    found = minimize_scalar(loss, bounds=(-limit, limit), method="bounded", options={"xatol": 1e-7})
    return Scaling.of_temperature(float(np.exp(found.x)), classes)


def fit_vector(probabilities: np.ndarray, labels: np.ndarray) -> Scaling:
    """A weight and a bias per class with the smallest log loss, as for fit_temperature.

    Weights lie in [1 / LARGEST_FACTOR, LARGEST_FACTOR], biases in [-LARGEST_BIAS, LARGEST_BIAS].
    """
    logs, classes = log_probabilities(probabilities), probabilities.shape[1]
    truth = np.eye(classes)[labels]

    def loss_and_gradient(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weights, biases = np.split(parameters, 2)
        scores = weights * logs + biases
        difference = (softmax(scores) - truth) / len(labels)
        gradient = np.concatenate([(difference * logs).sum(axis=0), difference.sum(axis=0)])
        return _log_loss(scores, labels), gradient

    from scipy.optimize import minimize

    start = fit_temperature(probabilities, labels)
    bounds = [(1 / LARGEST_FACTOR, LARGEST_FACTOR)] * classes
    bounds += [(-LARGEST_BIAS, LARGEST_BIAS)] * classes
    found = minimize(
        loss_and_gradient, np.concatenate(start), jac=True, method="L-BFGS-B", bounds=bounds
    )
    return Scaling(*np.split(found.x, 2))


def _log_loss(scores: np.ndarray, labels: np.ndarray) -> float:
    """The mean of -ln of the softmax of scores ``(N, C)`` at the true labels."""
    from scipy.special import logsumexp

    chosen = scores[np.arange(len(labels)), labels]
    return float(np.mean(logsumexp(scores, axis=1) - chosen))
