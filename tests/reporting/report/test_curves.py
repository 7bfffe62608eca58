"""The plots show the numbers of scikit-learn and of the definition of AP."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from fashionai.errors import RunError
from fashionai.reporting.report.curves import precision_plot, reliability_plot, training_plots
from fashionai.reporting.report.plot import FRAME, DrawnLine, Plot
from fashionai.tasks import Task
from tests.support.report_pages import make_results, make_subject

TASK = Task("four", (), tuple("abcd"), "table")


def pixels_to_values(plot: Plot, line: DrawnLine) -> np.ndarray:
    """The points ``(N, 2)`` of a drawn line, by the places and texts of the ticks."""
    numbers = [float(text) for text in re.findall(r"-?[\d.]+", line.path)]
    points = np.array(numbers).reshape(-1, 2) if numbers else np.array(line.dots)

    def scale(ticks: object) -> np.ndarray:
        texts = [(tick.place, float(tick.lines[0].strip(" %"))) for tick in ticks]
        return np.polyfit(*zip(*texts), 1)

    x, y = scale(plot.x_ticks), scale(plot.y_ticks)
    return np.column_stack([np.polyval(x, points[:, 0]), np.polyval(y, points[:, 1])])


def test_precision_is_that_of_the_definition(tmp_path: Path) -> None:
    results = make_results(tmp_path, TASK, 90, [0.7]).results
    probabilities, marks = results[0].rows.probabilities, results[0].rows.marks
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == marks.argmax(axis=1)
    expected = [
        (100 * (confidence >= t).mean(), right[confidence >= t].mean())
        for t in sorted(set(confidence), reverse=True)
    ]
    plot = precision_plot(results)
    found = pixels_to_values(plot, plot.lines[0])
    np.testing.assert_allclose(found[:, 0], np.array(expected)[:, 0], atol=0.05)
    np.testing.assert_allclose(found[:, 1], np.array(expected)[:, 1], atol=0.002)
    ap = np.mean([precision for _, precision in expected])
    assert f"AP, is {ap:.4f}" in plot.summary


def test_reliability_is_scikit_learns_calibration_curve(tmp_path: Path) -> None:
    (result,) = make_results(tmp_path, TASK, 400, [0.7]).results
    probabilities, marks = result.rows.probabilities, result.rows.marks
    right = probabilities.argmax(axis=1) == marks.argmax(axis=1)
    accuracy, confidence = calibration_curve(right, probabilities.max(axis=1), n_bins=15)
    plot = reliability_plot(result)
    found = pixels_to_values(plot, plot.lines[0])
    np.testing.assert_allclose(found, np.column_stack([confidence, accuracy]), atol=0.002)
    cells = [(float(row[2]), float(row[3])) for row in plot.table.rows]
    np.testing.assert_allclose(cells, np.column_stack([confidence, accuracy]), atol=5e-5)


def test_training_curves_are_those_of_the_history(tmp_path: Path) -> None:
    losses, scores = training_plots(make_subject(tmp_path / "run", TASK))
    assert [line.label for line in losses.lines] == ["training", "validation"]
    found = pixels_to_values(losses, losses.lines[0])
    np.testing.assert_allclose(found, [(1, 1), (2, 1 / 2), (3, 1 / 3)], atol=0.01)
    assert scores.table.rows[-1] == ["3", "0.9000", "0.6000", "0.7500"]


@pytest.mark.parametrize("loss", ["nan", "inf"])
def test_an_epoch_without_a_loss_interrupts_the_curve(tmp_path: Path, loss: str) -> None:
    subject = make_subject(tmp_path / "run", TASK)
    history = subject.runs[0].folder.history_file
    history.write_text(history.read_text().replace("2,0.5,", f"2,{loss},"))
    (training, validation), _ = (plot.lines for plot in training_plots(subject))
    assert (training.path, len(training.dots)) == ("", 2)
    assert validation.path.startswith("M")
    assert FRAME.left <= float(training.dots[0][0]) <= FRAME.right


@pytest.mark.parametrize(
    "text", ["", "epoch\n", "epoch,val_map\n1\n", "epoch,val_map\n1,x\n", "a\n1\n"]
)
def test_a_damaged_history_is_named(tmp_path: Path, text: str) -> None:
    subject = make_subject(tmp_path / "run", TASK)
    subject.runs[0].folder.history_file.write_text(text)
    with pytest.raises(RunError, match=r"run/history.csv: expected a number per column"):
        training_plots(subject)
