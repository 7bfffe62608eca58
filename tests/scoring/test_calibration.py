"""The expected calibration error against the formula."""

import math

import numpy as np
import pytest

from fashionai.scoring.calibration import expected_calibration_error


def naive_error(probabilities, labels, bins):
    """Equation 3 of Guo et al. 2017, bin by bin."""
    error = 0.0
    for number in range(1, bins + 1):
        inside = []
        for row, label in zip(probabilities, labels):
            confidence = max(row)
            if (number - 1) / bins < confidence <= number / bins:
                inside.append((confidence, list(row).index(confidence) == label))
        if inside:
            confidence = sum(each for each, _ in inside) / len(inside)
            accuracy = sum(correct for _, correct in inside) / len(inside)
            error += len(inside) / len(labels) * abs(accuracy - confidence)
    return error


@pytest.mark.parametrize("classes", [2, 7])
@pytest.mark.parametrize("bins", [1, 10, 15])
def test_error_is_that_of_the_formula(classes, bins):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(classes, 0.3), 200)
    labels = rng.integers(classes, size=200)
    expected = naive_error(probabilities, labels, bins)
    assert expected_calibration_error(probabilities, labels, bins) == pytest.approx(expected)


def test_error_of_known_predictions():
    always_sure = np.array([[1.0, 0.0]] * 4)
    assert expected_calibration_error(always_sure, np.zeros(4, int)) == 0
    assert expected_calibration_error(always_sure, np.ones(4, int)) == 1
    # Three of four are correct, at 75 %: one bin, no difference.
    assert expected_calibration_error(np.array([[0.75, 0.25]] * 4), np.array([0, 0, 1, 0])) == 0
    # Differences of opposite sign cancel out in one bin, but not in two.
    two = np.array([[0.6, 0.4], [0.9, 0.1]])
    assert expected_calibration_error(two, np.array([0, 1]), bins=1) == pytest.approx(0.25)
    assert expected_calibration_error(two, np.array([0, 1]), bins=10) == pytest.approx(0.65)


def test_a_probability_on_an_edge_belongs_to_the_bin_below():
    half = np.array([[0.5, 0.3, 0.2], [0.4, 0.3, 0.3]])
    # With two bins, both rows share the bin (0, 0.5].
    assert expected_calibration_error(half, np.array([0, 1]), bins=2) == pytest.approx(0.05)


def test_no_rows_have_no_error():
    assert math.isnan(expected_calibration_error(np.zeros((0, 3)), np.zeros(0, int)))
