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


def test_many_classes_have_room(tmp_path: Path) -> None:
    task = Task("many", (), tuple(f"class {index}" for index in range(300)), "table")
    truth = np.arange(300)
    found = evaluate_task(
        task, make_probabilities(truth, 300, 0.5, 0), marks_from_classes(truth, 300)
    )
    files = draw_scores(tmp_path, [found])
    assert all(file.stat().st_size < 200_000 for file in files)
