"""Confidence intervals: resamples compared with a naive loop, coverage with binomial intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta

from fashionai.metrics import MAYBE, NO, SCORES, YES, marks_from_classes
from fashionai.scoring.bootstrap import (
    ResampledScores,
    affordable_resamples,
    draw_counts,
    interval,
    mean_intervals,
    resampled_scores,
)


def made(rows: int, classes: int, decimals: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities with many ties, and marks of which some are MAYBE."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(classes), rows).round(decimals)
    truth = rng.integers(classes, size=rows)
    marks = np.where(rng.random((rows, classes)) < 0.2, MAYBE, NO).astype(np.int8)
    marks[np.arange(rows), truth] = YES
    return probabilities, marks


@pytest.mark.parametrize(("rows", "classes", "decimals"), [(60, 5, 1), (40, 2, 1), (7, 6, 9)])
def test_scores_of_resamples_are_those_of_the_repeated_rows(
    rows: int, classes: int, decimals: int
) -> None:
    """Seven rows of six classes also give resamples without some of the classes."""
    probabilities, marks = made(rows, classes, decimals)
    rng = np.random.default_rng(1)
    counts = np.array([draw_counts(rng, rows) for _ in range(20)])
    found = ResampledScores(probabilities, marks).of(counts)
    assert found.keys() == SCORES.keys()
    assert (counts.sum(axis=1) == rows).all()
    for number, drawn in enumerate(counts.astype(int)):
        chosen = np.repeat(np.arange(rows), drawn)
        for name, score in SCORES.items():
            naive = score(probabilities[chosen], marks[chosen])
            assert found[name][number] == pytest.approx(naive, abs=1e-12, nan_ok=True), name


def test_a_score_that_only_some_resamples_have() -> None:
    """Of two rows, those resamples that hold one row twice have no ROC AUC."""
    probabilities, marks = np.array([[0.9, 0.1], [0.2, 0.8]]), marks_from_classes([0, 1], 2)
    areas = resampled_scores(probabilities, marks, np.random.default_rng(0), 100)["roc_auc"]
    assert 20 < np.isnan(areas).sum() < 80
    assert interval(areas) == (1.0, 1.0)
    assert np.isnan(interval(np.array([np.nan, np.nan]))).all()


def test_the_interval_holds_the_middle_of_the_resamples() -> None:
    values = np.arange(1001.0)
    assert interval(np.random.default_rng(0).permutation(values)) == pytest.approx((25.0, 975.0))
    mean = mean_intervals([{"map": values}, {"map": values + 10}])
    assert mean == {"map": pytest.approx((30.0, 980.0))}
    assert mean_intervals([]) == {}
    mean = mean_intervals([{"map": values}, {"map": np.array([10.0, 10.0])}])
    assert mean == {"map": pytest.approx((5.0125, 5.4875))}


def test_many_rows_have_fewer_resamples() -> None:
    assert [affordable_resamples(rows, 1000) for rows in (50, 100_000, 400_000, 10**7)] == [
        *(1000, 1000, 250, 100)
    ]
    assert affordable_resamples(10**7, 20) == 20


def test_coverage_of_the_accuracy_is_that_of_a_binomial_interval() -> None:
    """200 samples of 200 rows with an accuracy of 0.8, each with its two intervals.

    Clopper and Pearson's interval covers at least 95 % and is the wider one.
    """
    rng, rows, true, rounds = np.random.default_rng(2), 200, 0.8, 200
    covered, covered_exactly, widths, exact_widths = 0, 0, [], []
    marks = marks_from_classes(np.zeros(rows, int), 2)
    for _ in range(rounds):
        right = rng.random(rows) < true
        probabilities = np.where(right[:, None], [0.9, 0.1], [0.1, 0.9])
        low, high = interval(resampled_scores(probabilities, marks, rng, 100)["accuracy"])
        count = right.sum()
        exact = beta.ppf([0.025, 0.975], [count, count + 1], [rows - count + 1, rows - count])
        covered += low <= true <= high
        covered_exactly += exact[0] <= true <= exact[1]
        widths.append(high - low)
        exact_widths.append(exact[1] - exact[0])
    assert covered / rounds == pytest.approx(0.95, abs=0.04)
    assert covered_exactly / rounds == pytest.approx(covered / rounds, abs=0.04)
    assert np.mean(widths) == pytest.approx(np.mean(exact_widths), rel=0.1)
