"""The expected calibration error against its formula; scalings against grids and planted ones."""

import json
import math

import numpy as np
import pytest
from scipy.special import softmax as softmax_of_rows

from fashionai.metrics import MAYBE, NO, YES
from fashionai.predictions.scaling import Scaling
from fashionai.scoring.probabilities.calibration import (
    calibration_figures,
    expected_calibration_error,
    fit_temperature,
    fit_vector,
)


def softmax(logits):
    return softmax_of_rows(logits, axis=1)


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


def overconfident(rows, classes, factor, seed=0):
    """Probabilities of logits that are ``factor`` times too large, and true labels."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.2, (rows, classes))
    true = softmax(logits)
    labels = (true.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1)
    return softmax(factor * logits), labels


def mean_log_loss(probabilities, labels):
    return -np.log(probabilities[np.arange(len(labels)), labels]).mean()


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_temperature_is_the_best_of_a_fine_grid(factor):
    probabilities, labels = overconfident(3000, 5, factor)
    scaling = fit_temperature(probabilities, labels)
    grid = np.exp(np.linspace(np.log(factor) - 0.3, np.log(factor) + 0.3, 601))
    losses = []
    for temperature in grid:
        powers = probabilities ** (1 / temperature)
        losses.append(mean_log_loss(powers / powers.sum(axis=1, keepdims=True), labels))
    assert scaling.temperature == pytest.approx(grid[np.argmin(losses)], rel=2e-3)
    assert scaling.temperature == pytest.approx(factor, rel=0.1)
    scaled = scaling.apply(probabilities)
    assert (scaled.argmax(axis=1) == probabilities.argmax(axis=1)).all()
    before, after = (expected_calibration_error(each, labels) for each in (probabilities, scaled))
    assert after < before / 3


def test_a_temperature_divides_the_logits_of_a_single_crop():
    logits = np.random.default_rng(0).normal(0, 3, (50, 4))
    scaled = Scaling.of_temperature(1.7, 4).apply(softmax(logits))
    assert scaled == pytest.approx(softmax(logits / 1.7), abs=1e-5)


def test_vector_scaling_finds_planted_weights_and_biases():
    rng = np.random.default_rng(0)
    logs = np.log(rng.dirichlet(np.ones(3), 20000))
    weights, biases = np.array([0.5, 1.5, 1.0]), np.array([0.7, -0.7, 0.0])
    true = softmax(weights * logs + biases)
    labels = (true.cumsum(axis=1) < rng.random((len(true), 1))).sum(axis=1)
    scaling = fit_vector(np.exp(logs), labels)
    assert scaling.weights == pytest.approx(weights, abs=0.06)
    # Adding a number to all biases changes nothing.
    assert scaling.biases - scaling.biases.mean() == pytest.approx(biases, abs=0.06)
    assert scaling.temperature is None

    def loss(parameters):
        return mean_log_loss(softmax(parameters[:3] * logs + parameters[3:]), labels)

    found = np.concatenate([scaling.weights, scaling.biases])
    for direction in np.eye(6):
        slope = (loss(found + 1e-4 * direction) - loss(found - 1e-4 * direction)) / 2e-4
        assert abs(slope) < 1e-4


def test_scalings_survive_json():
    for scaling in (
        Scaling.of_temperature(1.3, 3),
        Scaling(np.array([1.0, 2]), np.array([0.5, 0])),
    ):
        again = Scaling.from_json(json.loads(json.dumps(scaling.to_json())), len(scaling.weights))
        assert np.array_equal(again.weights, scaling.weights)
        assert np.array_equal(again.biases, scaling.biases)


@pytest.mark.parametrize(
    "entry",
    [
        {"temperature": 0.0},
        {"temperature": -1},
        {"temperature": float("nan")},
        {"temperature": "hot"},
        {"weights": [1, 1], "biases": [0, 0]},
        {"weights": [1, 1, -1], "biases": [0, 0, 0]},
        {"weights": [1, 1, 1]},
        {},
    ],
)
def test_damaged_scalings_are_refused(entry):
    with pytest.raises((ValueError, TypeError, KeyError, ZeroDivisionError)):
        Scaling.from_json(entry, 3)


def test_figures_count_only_the_true_class_as_correct():
    """A class marked MAYBE is not correct, as for the accuracy; the mAP leaves its row out."""
    probabilities = np.array([[0.8, 0.2], [0.8, 0.2]])
    marks = np.array([[YES, NO], [MAYBE, YES]], np.int8)
    figures = calibration_figures(probabilities, marks)
    assert figures.error == pytest.approx(0.3)
    assert figures.map == 1
