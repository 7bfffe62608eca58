"""The scores against naive loops over DESIGN's definition and against scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from fashionai.metrics import (
    MAYBE,
    NO,
    YES,
    accuracy,
    advice_on_validation,
    average_precision,
    balanced_accuracy,
    basic_precision,
    confusion_matrix,
    log_loss,
    marks_from_classes,
    mean_reciprocal_rank,
    overall_scores,
    recalls,
    roc_auc,
    standard_error,
    task_scores,
)

Table = tuple[np.ndarray, np.ndarray]


@st.composite
def tables(draw: st.DrawFn, grid: int = 5, maybe: bool = True) -> Table:
    """Probabilities on a coarse grid, so that ties occur, and marks with one YES a row."""
    rows = draw(st.integers(1, 14))
    classes = draw(st.integers(2, 5))
    counts = draw(
        st.lists(
            st.lists(st.integers(0, grid), min_size=classes, max_size=classes).filter(any),
            min_size=rows,
            max_size=rows,
        )
    )
    probabilities = np.array([[n / sum(row) for n in row] for row in counts])
    marks = np.empty((rows, classes), np.int8)
    others = st.sampled_from([NO, MAYBE] if maybe else [NO])
    for row in range(rows):
        marks[row] = draw(st.lists(others, min_size=classes, max_size=classes))
        marks[row, draw(st.integers(0, classes - 1))] = YES
    return probabilities, marks


def naive_prediction(row: Sequence[float]) -> tuple[float, int]:
    best = 0
    for index, value in enumerate(row):
        if value > row[best]:
            best = index
    return row[best], best


def naive_average_precision(probabilities: np.ndarray, marks: np.ndarray) -> float:
    """DESIGN's words, one threshold and one row at a time."""
    predictions = [naive_prediction(row) for row in probabilities.tolist()]
    precisions = []
    for threshold in {p for p, _ in predictions}:
        not_output = correct = predicted = 0
        for (p, cls), row in zip(predictions, marks.tolist()):
            if p < threshold:
                not_output += 1
            elif row[cls] == YES:
                correct += 1
                predicted += 1
            elif row[cls] == NO:
                predicted += 1
        if 0 <= not_output < len(predictions) and predicted:
            precisions.append(correct / predicted)
    return sum(precisions) / len(precisions) if precisions else math.nan


@settings(max_examples=300, deadline=None)
@given(tables())
def test_average_precision_is_designs_definition_with_ties_and_maybes(table: Table) -> None:
    probabilities, marks = table
    expected = naive_average_precision(probabilities, marks)
    assert average_precision(probabilities, marks) == pytest.approx(expected, abs=1e-6, nan_ok=True)


@settings(max_examples=100, deadline=None)
@given(tables(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(table: Table, random) -> None:
    probabilities, marks = table
    order = list(range(len(marks)))
    random.shuffle(order)
    one, other = task_scores(probabilities, marks), task_scores(probabilities[order], marks[order])
    for name, value in one.items():
        assert other[name] == pytest.approx(value, nan_ok=True), name


def test_average_precision_of_a_worked_example() -> None:
    # p .9 correct, .8 wrong, .7 maybe, .6 and .6 correct: 1/1, 1/2, 1/2, 3/4.
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4], [0.4, 0.6]])
    marks = np.array([[YES, NO], [NO, YES], [YES, MAYBE], [YES, NO], [NO, YES]], np.int8)
    assert average_precision(probabilities, marks) == pytest.approx((1 + 0.5 + 0.5 + 0.75) / 4)
    assert basic_precision(probabilities, marks) == pytest.approx(3 / 4)
    assert accuracy(probabilities, marks) == pytest.approx(3 / 5)


def test_a_maybe_at_the_top_leaves_its_threshold_out_of_the_mean() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    marks = np.array([[MAYBE, YES], [NO, YES], [YES, NO]], np.int8)
    assert average_precision(probabilities, marks) == pytest.approx((0 + 1 / 2) / 2)


def test_when_every_prediction_is_a_maybe_precision_is_not_a_number() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2]])
    marks = np.array([[MAYBE, YES], [MAYBE, YES]], np.int8)
    assert math.isnan(average_precision(probabilities, marks))
    assert math.isnan(basic_precision(probabilities, marks))
    assert accuracy(probabilities, marks) == 0
    assert mean_reciprocal_rank(probabilities, marks) == 0.5


@pytest.mark.parametrize(("mark", "expected"), [(YES, 1.0), (NO, 0.0)])
def test_one_row_scores_as_that_row(mark: int, expected: float) -> None:
    probabilities = np.array([[0.2, 0.5, 0.3]])
    marks = np.array([[YES if mark == NO else NO, mark, NO]], np.int8)
    for score in (average_precision, basic_precision, accuracy):
        assert score(probabilities, marks) == expected


@settings(max_examples=100, deadline=None)
@given(tables())
def test_basic_precision_is_correct_over_rows_not_maybe(table: Table) -> None:
    probabilities, marks = table
    outcomes = [row[naive_prediction(p)[1]] for p, row in zip(probabilities.tolist(), marks)]
    counted = [outcome for outcome in outcomes if outcome != MAYBE]
    expected = counted.count(YES) / len(counted) if counted else math.nan
    assert basic_precision(probabilities, marks) == pytest.approx(expected, nan_ok=True)


@settings(max_examples=100, deadline=None)
@given(tables())
def test_accuracy_and_confusion_agree_with_scikit_learn(table: Table) -> None:
    probabilities, marks = table
    classes = probabilities.shape[1]
    truth = [row.index(YES) for row in marks.tolist()]
    predicted = [naive_prediction(row)[1] for row in probabilities.tolist()]
    assert accuracy(probabilities, marks) == pytest.approx(
        sklearn.metrics.accuracy_score(truth, predicted)
    )
    expected = sklearn.metrics.confusion_matrix(truth, predicted, labels=range(classes))
    np.testing.assert_array_equal(confusion_matrix(probabilities, marks), expected)


@settings(max_examples=100, deadline=None)
@given(tables())
def test_mrr_is_the_mean_of_one_over_the_sorted_position(table: Table) -> None:
    probabilities, marks = table
    total = 0.0
    for values, row in zip(probabilities.tolist(), marks.tolist()):
        order = sorted(range(len(values)), key=lambda cls: (-values[cls], cls))
        total += 1 / (1 + order.index(row.index(YES)))
    assert mean_reciprocal_rank(probabilities, marks) == pytest.approx(total / len(marks))


@settings(max_examples=100, deadline=None)
@given(tables(maybe=False))
def test_log_loss_agrees_with_scikit_learn(table: Table) -> None:
    probabilities, marks = table
    truth = marks.argmax(axis=1)
    # Away from zero, where the two clip differently.
    probabilities = (probabilities + 0.01) / (probabilities + 0.01).sum(axis=1, keepdims=True)
    expected = sklearn.metrics.log_loss(truth, probabilities, labels=range(probabilities.shape[1]))
    assert log_loss(probabilities, marks) == pytest.approx(expected, abs=1e-9)


def test_log_loss_of_a_probability_of_zero_is_finite() -> None:
    marks = np.array([[NO, YES]], np.int8)
    assert log_loss(np.array([[1.0, 0.0]]), marks) == pytest.approx(-math.log(1e-15))
    assert math.isfinite(log_loss(np.array([[1.0, 0.0]], np.float32), marks))


def test_marks_from_classes_has_one_yes_a_row() -> None:
    marks = marks_from_classes(np.array([2, 0]), 3)
    assert marks.tolist() == [[NO, NO, YES], [YES, NO, NO]]


def test_overall_scores_are_means_over_tasks_not_over_rows() -> None:
    small, large = np.array([[0.9, 0.1]]), np.array([[0.2, 0.8]] * 9)
    scores = [
        task_scores(small, np.array([[YES, NO]], np.int8)),
        task_scores(large, np.array([[YES, NO]] * 9, np.int8)),
    ]
    assert overall_scores(scores)["map"] == pytest.approx(0.5)
    assert overall_scores(scores)["accuracy"] == pytest.approx(0.5)


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("decimals", [1, 6])
def test_balanced_accuracy_and_roc_auc_are_scikit_learns(classes: int, decimals: int) -> None:
    """One decimal makes many ties."""
    rng = np.random.default_rng(classes + decimals)
    truth = rng.integers(0, classes, 300)
    probabilities = rng.random((300, classes)).round(decimals) + 0.01
    marks = marks_from_classes(truth, classes)
    expected = sklearn.metrics.balanced_accuracy_score(truth, probabilities.argmax(axis=1))
    assert balanced_accuracy(probabilities, marks) == pytest.approx(expected, abs=1e-12)
    scored = [1] if classes == 2 else range(classes)
    areas = [sklearn.metrics.roc_auc_score(truth == c, probabilities[:, c]) for c in scored]
    assert roc_auc(probabilities, marks) == pytest.approx(np.mean(areas), abs=1e-12)
    if classes == 2:
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        areas = [sklearn.metrics.roc_auc_score(truth == c, probabilities[:, c]) for c in (0, 1)]
        assert roc_auc(probabilities, marks) == pytest.approx(np.mean(areas), abs=1e-12)


def test_the_area_of_two_classes_is_that_of_class_1_where_class_0_rounds_to_one() -> None:
    """The probabilities of class 0 are both 1.0, and those of class 1 still rank the rows."""
    small = np.array([1e-18, 1e-17])
    probabilities = np.stack([1 - small, small], axis=1)
    assert sklearn.metrics.roc_auc_score([0, 1], small) == 1
    assert roc_auc(probabilities, marks_from_classes(np.array([0, 1]), 2)) == 1
    assert roc_auc(probabilities, marks_from_classes(np.array([1, 0]), 2)) == 0
    for one_class in (0, 1):
        marks = marks_from_classes(np.full(2, one_class), 2)
        assert np.isnan(roc_auc(probabilities, marks))


def test_a_class_without_rows_is_left_out_and_a_single_class_has_no_roc() -> None:
    probabilities = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.8, 0.1, 0.1]])
    marks = marks_from_classes(np.array([0, 1, 1]), 3)
    assert balanced_accuracy(probabilities, marks) == pytest.approx((1 + 0.5) / 2)
    assert np.isnan(recalls(confusion_matrix(probabilities, marks))[2])
    assert np.isnan(roc_auc(probabilities, marks_from_classes(np.zeros(3, int), 3)))


def test_the_standard_error_is_the_deviation_of_measured_accuracies() -> None:
    measured = np.random.default_rng(0).binomial(20, 0.8, size=100_000) / 20
    assert standard_error(0.8, 20) == pytest.approx(measured.std(), rel=0.02)


def test_advice_is_given_where_the_standard_error_is_above_four_points() -> None:
    assert standard_error(0.8, 99) > 0.04 == pytest.approx(standard_error(0.8, 100))
    assert advice_on_validation(100) == ""
    assert advice_on_validation(20) == (
        "with 20 validation images an accuracy of 0.8 has a standard error of 0.09; "
        "to validate on all images: fashionai cross-validate"
    )
    assert advice_on_validation(1).startswith("with 1 validation image an accuracy")
