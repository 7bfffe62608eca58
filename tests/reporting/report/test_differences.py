"""Differences of runs against naive resamples and scipy's exact test."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from fashionai.metrics import task_scores
from fashionai.reporting.report.differences import outcomes, score_differences
from fashionai.tasks import Task
from tests.support.report_pages import make_results

TASK = Task("three", (), tuple("abc"), "table")


def test_the_interval_is_that_of_differences_on_the_same_resamples(tmp_path: Path) -> None:
    first, second = make_results(tmp_path, TASK, 60, [0.6, 0.8], resamples=40).results
    rng = np.random.default_rng(zlib.crc32(b"a\nb\nc" + first.rows.marks.astype(np.int8).tobytes()))
    naive: dict[str, list[float]] = {}
    for _ in range(40):
        drawn = rng.integers(60, size=60)
        one, other = (
            task_scores(each.rows.probabilities[drawn], each.rows.marks[drawn])
            for each in (first, second)
        )
        for key in one:
            naive.setdefault(key, []).append(other[key] - one[key])
    for found in score_differences(first, second):
        scores = [each.evaluation.scores[found.key] for each in (first, second)]
        assert found.value == pytest.approx(scores[1] - scores[0])
        # Scores of a resample weigh equal probabilities together, hence not exactly.
        low, high = np.quantile(naive[found.key], [0.025, 0.975])
        assert found.interval == pytest.approx((low, high), abs=1e-6)
        assert found.is_clear == (low > 0 or high < 0)


def test_p_is_that_of_the_binomial_test(tmp_path: Path) -> None:
    first, second = make_results(tmp_path, TASK, 80, [0.5, 0.8]).results
    found = outcomes(first, second)
    right = [
        each.rows.probabilities.argmax(axis=1) == each.rows.marks.argmax(axis=1)
        for each in (first, second)
    ]
    assert found.only_a == (right[0] & ~right[1]).sum()
    assert found.only_b == (right[1] & ~right[0]).sum()
    assert found.rows == 80
    differing = found.only_a + found.only_b
    assert found.p_value == pytest.approx(binomtest(found.only_a, differing).pvalue)
