"""The shown confusion matrix against scikit-learn's and naive counts."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import confusion_matrix

from fashionai.reporting.report.confusion import (
    MOST_CLASSES,
    OTHERS,
    SHOWN_CLASSES,
    confused_pairs,
    shown_matrix,
)


def test_few_classes_are_all_shown() -> None:
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(4, size=(2, 100))
    counts = confusion_matrix(truth, predicted, labels=range(4))
    shown = shown_matrix(counts, list("abcd"))
    assert (list(shown.labels), list(shown.classes)) == (list("abcd"), [0, 1, 2, 3])
    np.testing.assert_array_equal(shown.counts, counts)
    normalized = confusion_matrix(truth, predicted, labels=range(4), normalize="true")
    np.testing.assert_allclose(shown.shares, normalized)


def test_of_many_classes_the_most_confused_are_shown_and_no_row_is_lost() -> None:
    rng = np.random.default_rng(1)
    size = MOST_CLASSES + 60
    truth = rng.integers(size, size=3000)
    # Only the first classes are confused, with their neighbours.
    confused = (truth < SHOWN_CLASSES) & (rng.random(3000) < 0.5)
    predicted = np.where(confused, (truth + 1) % SHOWN_CLASSES, truth)
    names = [f"class {index}" for index in range(size)]
    shown = shown_matrix(confusion_matrix(truth, predicted, labels=range(size)), names)
    assert list(shown.labels) == [*names[:SHOWN_CLASSES], OTHERS]
    assert shown.classes[-1] == -1
    labels = [np.minimum(each, SHOWN_CLASSES) for each in (truth, predicted)]
    expected = confusion_matrix(*labels, labels=range(SHOWN_CLASSES + 1))
    np.testing.assert_array_equal(shown.counts, expected)


def test_pairs_are_sorted_by_their_number() -> None:
    pairs = confused_pairs(np.array([[5, 1, 0], [3, 0, 0], [0, 4, 4]]))
    assert [(each.true, each.predicted, each.images) for each in pairs] == [
        (2, 1, 4),
        (1, 0, 3),
        (0, 1, 1),
    ]
    assert [each.share for each in pairs] == [0.5, 1.0, 1 / 6]
