"""Imbalanced classes: weights against scikit-learn's, orders against counts."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from fashionai.errors import ConfigError
from fashionai.tasks import Task
from fashionai.training.batches.class_balance import balanced_order, class_weights
from tests.support.prepared_data import ONE, make_rows

TWO = Task("two", (), ("c", "d"), "table")


def test_balanced_weights_are_scikit_learns_and_of_mean_one() -> None:
    truth = [0] * 7 + [1] * 2 + [2] * 3
    weights = class_weights("balanced", make_rows(truth, [ONE]))
    expected = compute_class_weight("balanced", classes=np.arange(3), y=np.array(truth))
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    assert np.mean(weights[truth]) == pytest.approx(1, rel=1e-6)


def test_each_task_is_balanced_by_itself_and_named_weights_leave_the_rest() -> None:
    truth, heads = [0, 0, 0, 1, 2, 3, 4, 4, 4], [0] * 5 + [1] * 4
    rows = make_rows(truth, [ONE, TWO], heads)
    weights = class_weights("balanced", rows)
    np.testing.assert_allclose(weights, [5 / 9, 5 / 3, 5 / 3, 2, 2 / 3], rtol=1e-6)
    np.testing.assert_array_equal(class_weights({"d": 4.0}, rows), [1, 1, 1, 1, 4])
    assert class_weights("none", rows) is None
    with pytest.raises(ConfigError, match=r"unknown class 'x'\. Choose from: a, b, c"):
        class_weights({"x": 1.0}, rows)
    with pytest.raises(ConfigError, match="several tasks have the class 'c'"):
        class_weights({"c": 1.0}, rows)


@given(
    counts=st.lists(st.integers(0, 30), min_size=3, max_size=3).filter(any),
    seed=st.integers(0, 9),
    epoch=st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_a_balanced_order_has_all_classes_as_often(counts, seed, epoch) -> None:
    truth = [index for index, count in enumerate(counts) for _ in range(count)]
    rows = make_rows(truth, [ONE])
    order = balanced_order(rows, seed, epoch)
    assert len(order) == len(truth)
    drawn = Counter(truth[row] for row in order)
    present = [index for index, count in enumerate(counts) if count]
    assert set(drawn) <= set(present)
    shares = [drawn[index] for index in present]
    assert max(shares) - min(shares) <= 1
    for index in present:
        repeats = Counter(int(row) for row in order if truth[row] == index)
        members = [repeats[row] for row in range(len(truth)) if truth[row] == index]
        # No row comes a second time before all of its class came once.
        assert max(members) - min(members) <= 1
    np.testing.assert_array_equal(order, balanced_order(rows, seed, epoch))


def test_orders_differ_between_epochs_and_seeds() -> None:
    rows = make_rows([0] * 50 + [1] * 10, [ONE])
    orders = [tuple(balanced_order(rows, *key)) for key in ((0, 0), (0, 1), (1, 0))]
    assert len(set(orders)) == 3


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.999, 0.999999])
def test_effective_weights_are_those_of_the_paper(beta: float) -> None:
    """The effective number is the sum of beta ** k over the samples, k from 0: proposition 1."""
    truth, heads = [0] * 40 + [1] * 3 + [3] * 5 + [4], [0] * 43 + [1] * 6
    weights = class_weights("effective", make_rows(truth, [ONE, TWO], heads), beta)
    for part, counts in ((slice(0, 2), (40, 3)), (slice(3, 5), (5, 1))):
        inverse = [1 / sum(beta**k for k in range(count)) for count in counts]
        np.testing.assert_allclose(weights[part], 2 * np.array(inverse) / sum(inverse), rtol=1e-4)


@pytest.mark.parametrize("setting", ["balanced", "effective"])
def test_a_class_without_samples_counts_once(setting: str) -> None:
    """Label smoothing gives it a share of every target, which a great weight would magnify."""
    weights = class_weights(setting, make_rows([0] * 900 + [2] * 100, [ONE]), 0.999)
    present = class_weights(setting, make_rows([0] * 900 + [1] * 100, [TWO]), 0.999)
    assert weights is not None
    assert weights[1] == 1
    np.testing.assert_allclose(weights[[0, 2]], present, rtol=1e-6)
