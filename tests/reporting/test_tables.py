"""Tables: the numbers they say, within 80 columns."""

from __future__ import annotations

import numpy as np

from fashionai.metrics import marks_from_classes, task_scores
from fashionai.reporting.tables import WIDTH, balance_table, class_table


def test_a_classifier_that_answers_one_class_is_seen_for_what_it_is() -> None:
    """80 of 100 rows are of class 2, and every row is answered so."""
    truth = np.repeat([0, 1, 2], [15, 5, 80])
    probabilities = np.tile([0.2, 0.1, 0.7], (100, 1))
    matrix = np.zeros((3, 3), np.int64)
    matrix[:, 2] = [15, 5, 80]
    scores = task_scores(probabilities, marks_from_classes(truth, 3))
    lines = balance_table([("logos", scores, matrix)]).splitlines()
    assert lines[0].split() == ["task", "accuracy", "majority", "balanced", "ROC", "AUC"]
    assert lines[1].split() == ["logos", "0.8000", "0.8000", "0.3333", "0.5000"]
    lines = class_table(matrix, ("adidas", "aldi", "no-logo")).splitlines()
    assert lines[1].split() == ["adidas", "15", "0", "0.0000", "-"]
    assert lines[3].split() == ["no-logo", "80", "100", "1.0000", "0.8000"]


def test_long_names_stay_within_the_terminal() -> None:
    matrix = np.array([[1234567, 0], [0, 1]])
    for line in class_table(matrix, ("a" * 100, "b")).splitlines():
        assert len(line) <= WIDTH
