"""The pictures of evaluate show its numbers, and replace no picture of the user's own."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix

from fashionai.errors import ConfigError
from fashionai.metrics import marks_from_classes
from fashionai.reporting.score_plots import (
    check_plots,
    draw_confusion,
    draw_precision,
    draw_reliability,
    draw_scores,
)
from fashionai.scoring.evaluate import TaskEvaluation, evaluate_task
from fashionai.tasks import Task
from tests.support.report_pages import make_probabilities

TASK = Task("one/two_labels", ("one/two",), ("a", "$b$", "c"), "table")


@pytest.fixture(scope="module")
def evaluation() -> TaskEvaluation:
    truth = np.random.default_rng(0).integers(3, size=200)
    return evaluate_task(TASK, make_probabilities(truth, 3, 0.7, 1), marks_from_classes(truth, 3))


def test_the_matrix_has_the_counts(evaluation: TaskEvaluation) -> None:
    (axes,) = draw_confusion(evaluation).axes
    truth, predicted = evaluation.marks.argmax(axis=1), evaluation.probabilities.argmax(axis=1)
    counts = confusion_matrix(truth, predicted)
    shown = {tuple(map(round, text.get_position())): int(text.get_text()) for text in axes.texts}
    assert shown == {(p, t): n for (t, p), n in np.ndenumerate(counts) if n}
    np.testing.assert_allclose(
        axes.images[0].get_array(), confusion_matrix(truth, predicted, normalize="true")
    )


def test_the_curves_are_those_of_the_definitions(evaluation: TaskEvaluation) -> None:
    confidence = evaluation.probabilities.max(axis=1)
    right = evaluation.probabilities.argmax(axis=1) == evaluation.marks.argmax(axis=1)
    (axes,) = draw_precision(evaluation).axes
    thresholds = sorted(set(confidence), reverse=True)
    x, y = axes.lines[0].get_data()
    np.testing.assert_allclose(x, [(confidence >= t).mean() for t in thresholds])
    np.testing.assert_allclose(y, [right[confidence >= t].mean() for t in thresholds])
    assert axes.lines[1].get_ydata()[0] == pytest.approx(np.mean(y))
    (axes,) = draw_reliability(evaluation).axes
    accuracy, means = calibration_curve(right, confidence, n_bins=15)
    np.testing.assert_allclose(axes.lines[0].get_data(), (means, accuracy))
    np.testing.assert_allclose([bar.get_height() for bar in axes.patches], accuracy)


def test_files_are_named_after_tasks_and_have_the_same_bytes_again(
    evaluation: TaskEvaluation, tmp_path: Path
) -> None:
    files = draw_scores(tmp_path / "plots", [evaluation])
    names = ["confusion-one-two.png", "precision-one-two.png", "reliability-one-two.png"]
    assert [file.name for file in files] == names
    before = [file.read_bytes() for file in files]
    check_plots("--plots", tmp_path / "plots", [], False)
    draw_scores(tmp_path / "plots", [evaluation])
    assert [file.read_bytes() for file in files] == before


def test_a_picture_of_the_users_own_is_kept(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "confusion-mine.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ConfigError, match=r"--plots .*confusion-mine.png: exists and is not"):
        check_plots("--plots", tmp_path, [], False)


@pytest.mark.parametrize(
    ("classes", "inches", "has_numbers", "has_names"),
    [(3, 3.5, True, True), (20, 10.5, True, True), (60, 14, False, True), (300, 14, False, False)],
)
def test_a_matrix_has_the_numbers_and_names_for_which_there_is_room(
    classes: int, inches: float, has_numbers: bool, has_names: bool
) -> None:
    names = tuple(f"class {index}" for index in range(classes))
    truth = np.arange(classes)
    probabilities = make_probabilities(truth, classes, 0.5, 0)
    marks = marks_from_classes(truth, classes)
    figure = draw_confusion(evaluate_task(Task("many", (), names, "table"), probabilities, marks))
    assert figure.get_size_inches() == pytest.approx((inches, inches))
    (axes,) = figure.axes
    assert bool(axes.texts) is has_numbers
    figure.draw_without_rendering()
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        named = [label for label in labels if label.get_text() in names]
        assert len(named) == (classes if has_names else 0)
        boxes = [label.get_window_extent() for label in named]
        for box, following in zip(boxes, boxes[1:]):
            assert not box.overlaps(following)
        for box in boxes:
            assert 0 <= box.x0 < box.x1 <= figure.bbox.width
            assert 0 <= box.y0 < box.y1 <= figure.bbox.height
