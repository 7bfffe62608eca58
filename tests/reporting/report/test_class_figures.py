"""The figures of classes against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    precision_recall_fscore_support,
)

from fashionai.metrics import marks_from_classes
from fashionai.reporting.report.class_figures import class_figures, ranking
from fashionai.scoring.evaluate import evaluate_task
from fashionai.tasks import Task
from tests.support.report_pages import make_probabilities


def test_figures_are_those_of_scikit_learn() -> None:
    truth = np.random.default_rng(0).integers(5, size=300)
    probabilities = make_probabilities(truth, 6, 0.6, 1).round(2)  # with ties
    task = Task("six", (), tuple("abcdef"), "table")
    figures = class_figures(evaluate_task(task, probabilities, marks_from_classes(truth, 6)))
    expected = precision_recall_fscore_support(
        truth, probabilities.argmax(axis=1), labels=range(6), zero_division=np.nan
    )
    for index, found in enumerate(figures):
        assert found.support == expected[3][index] == (truth == index).sum()
        assert found.predicted == (probabilities.argmax(axis=1) == index).sum()
        assert found.precision == pytest.approx(expected[0][index], nan_ok=True)
        assert found.recall == pytest.approx(expected[1][index], nan_ok=True)
    for index in range(5):
        ap = average_precision_score(truth == index, probabilities[:, index])
        assert figures[index].average_precision == pytest.approx(ap)
    assert np.isnan(figures[5].average_precision)
    assert np.isnan(figures[5].threshold)


def test_the_threshold_has_the_largest_f1() -> None:
    rng = np.random.default_rng(3)
    values, positive = rng.random(200).round(2), rng.random(200) < 0.3
    precision, recall, thresholds = precision_recall_curve(positive, values)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    chosen = ranking(values, positive).threshold
    assert f1[np.flatnonzero(thresholds == chosen)[0]] == pytest.approx(f1[:-1].max())
