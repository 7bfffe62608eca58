"""Grad-CAM of mistakes in a report: which classes, how many bytes, and where there is none."""

from __future__ import annotations

import base64
from pathlib import Path

import cv2
import numpy as np
import pytest

from fashionai.metrics import marks_from_classes
from fashionai.predictions.explain import explain
from fashionai.reporting.explanations import overlay
from fashionai.reporting.report.explained import Explained, explain_rows
from fashionai.reporting.report.results import Result
from fashionai.reporting.report.subjects import Subject, open_subjects
from fashionai.scoring.evaluate import evaluate_task
from fashionai.scoring.rows.labelled_predictions import LabelledPredictions
from fashionai.tasks import Task
from tests.support.report_pages import make_results, write_page
from tests.support.trained_runs import images_to_predict

ROWS = 4


@pytest.fixture
def subject(trained: Path, trained_cnn: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    monkeypatch.chdir(trained)
    return open_subjects([trained_cnn])[0]


@pytest.fixture
def result(trained: Path, subject: Subject) -> Result:
    """Four images of class 1 that are said to be predicted as 0, 1, 2 and 3."""
    (task,) = subject.tasks
    files = images_to_predict(trained)[:ROWS]
    probabilities = np.eye(len(task.classes))[:ROWS]
    marks = marks_from_classes(np.full(ROWS, 1), len(task.classes))
    rows = LabelledPredictions(task, [str(file) for file in files], files, marks, probabilities)
    return Result(subject, "val", rows, evaluate_task(task, probabilities, marks))


def test_the_predicted_and_the_true_class_are_explained(result: Result) -> None:
    found = explain_rows(result, [2, 0, 1], 10**6)
    assert not found.problem
    indices = {row: [each.class_index for each in found.overlays[row]] for row in found.overlays}
    assert indices == {2: [2, 1], 0: [0, 1], 1: [1]}
    (run,) = result.subject.runs
    file = result.rows.files[2]
    assert file is not None
    (explained,) = explain(run, [file], top=len(result.rows.task.classes))
    heat = {each.class_index: each.heat for each in explained.classes}
    for each in found.overlays[2]:
        data = np.frombuffer(base64.b64decode(each.picture), np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
        of_class = {
            index: np.abs(picture - overlay(explained.image, found).astype(float)).mean()
            for index, found in heat.items()
        }
        assert min(of_class, key=lambda index: of_class[index]) == each.class_index
        assert of_class[each.class_index] < 10  # JPEG changes the noise of these images


def test_only_as_many_rows_as_fit_are_kept(result: Result) -> None:
    whole = explain_rows(result, [2, 0, 3], 10**6).overlays
    size = sum(len(each.picture) for row in (2, 0) for each in whole[row])
    assert list(explain_rows(result, [2, 0, 3], size).overlays) == [2, 0]
    assert list(explain_rows(result, [2, 0, 3], size - 1).overlays) == [2]


def test_rows_without_a_file_are_left_out(result: Result) -> None:
    whole = explain_rows(result, [0, 2, 3], 10**6).overlays
    files = [None if row == 0 else file for row, file in enumerate(result.rows.files)]
    without = result._replace(rows=result.rows._replace(files=files))
    found = explain_rows(without, [0, 2, 3], 10**6)
    assert found == Explained({row: whole[row] for row in (2, 3)})


def test_a_run_that_cannot_be_explained_has_a_line_that_says_why(tmp_path: Path) -> None:
    results = make_results(tmp_path, Task("one", (), ("a", "b"), "table"), 20, [0.7])
    page = write_page(tmp_path / "report.html", results).read_text()
    assert "No Grad-CAM: <bdi>" in page
    assert "best.params" in page[page.index("No Grad-CAM") :][:300]
