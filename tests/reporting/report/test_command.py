"""``fashionai report`` of trained runs: the numbers of evaluate, other sources, and refusals."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from fashionai.reporting.report.writing import REPORT
from tests.support.commands import fashionai

QUICK = ["--crops", "1", "--engine", "gluon"]
PREPARED = "data/train_valid/skirt_length_labels"


@pytest.fixture
def place(trained: Path, trained_cnn: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with runs/skirt and runs-cnn/skirt."""
    monkeypatch.chdir(trained)
    return trained


def data_of(page: Path) -> list[dict[str, object]]:
    found = re.search('type="application/json" id="data">(.*?)</script>', page.read_text())
    return json.loads(found[1])


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What the command prints; it has to refuse and to leave no page."""
    capsys.readouterr()
    assert fashionai("report", *arguments, *QUICK) == 2
    return capsys.readouterr().err


def test_the_scores_are_those_of_evaluate(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, scores = tmp_path / "report.html", tmp_path / "scores.json"
    assert fashionai("report", "runs/skirt", "runs-cnn/skirt", "--out", page, *QUICK) == 0
    text = page.read_text()
    size = page.stat().st_size / 1e6
    told = capsys.readouterr().out
    assert told.endswith(f"report.html: 2 runs, 1 task, 12 images, {size:.1f} MB\n")
    for run in ("runs/skirt", "runs-cnn/skirt"):
        assert fashionai("evaluate", "--run", run, "--json", scores, *QUICK) == 0
        (task,) = json.loads(scores.read_text())["tasks"].values()
        for key in ("map", "accuracy", "log_loss"):
            low, high = task["intervals"][key]
            assert f">{task[key]:.4f}<" in text
            assert f"{low:.4f} to {high:.4f}" in text
    assert "//" not in re.sub(
        r"<script.*?</script>|<style.*?</style>|data:image\S+", "", text, flags=re.S
    )
    (task,) = data_of(page)
    assert len(task["name"]) == len(task["pictures"]) == 12
    # The same command replaces its own page, with the same bytes.
    assert REPORT.is_own(page)
    before = page.read_bytes()
    assert fashionai("report", "runs/skirt", "runs-cnn/skirt", "--out", page, *QUICK) == 0
    assert page.read_bytes() == before


def test_a_file_of_predictions_gives_the_same_page_as_its_split(
    place: Path, tmp_path: Path
) -> None:
    predicted, pages = tmp_path / "val.csv", [tmp_path / "a.html", tmp_path / "b.html"]
    run = ["--run", "runs-cnn/skirt", "--split", "val"]
    assert fashionai("predict", *run, "--out", predicted, *QUICK) == 0
    assert fashionai("report", "runs-cnn/skirt", "--out", pages[0], *QUICK) == 0
    given = ["--predictions", predicted, "--labels", PREPARED]
    assert fashionai("report", "runs-cnn/skirt", *given, "--out", pages[1]) == 0
    assert data_of(pages[0]) == data_of(pages[1])


def test_images_of_a_label_file_are_found_below_a_folder(place: Path, tmp_path: Path) -> None:
    predicted, page = tmp_path / "submission.csv", tmp_path / "report.html"
    run = ["--run", "runs-cnn/skirt"]
    assert fashionai("predict", *run, "--task", "skirt", "--out", predicted, *QUICK) == 0
    given = ["--predictions", predicted, "--labels", "data/answers.csv"]
    images = ["--images", "data/rank"]
    assert fashionai("report", "runs-cnn/skirt", *given, *images, "--out", page) == 0
    (task,) = data_of(page)
    assert len(task["pictures"]) == len(task["name"]) == 18
    assert task["folders"] == ["data/rank/Images/skirt_length_labels"]


def test_what_cannot_be_shown_is_refused(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report.html"
    for arguments, message in (
        (
            ["runs/skirt", "--split", "out-of-fold"],
            "--split out-of-fold: runs/skirt is a single run, expected a cross-validation",
        ),
        (["runs/skirt", "runs/../runs/skirt"], "runs/../runs/skirt: is given twice"),
        (
            ["runs/skirt", "--task", "pant"],
            "--task: the runs learnt skirt_length_labels, not pant_length_labels",
        ),
        (
            ["runs/skirt", "runs-cnn/skirt", "--predictions", "a.csv", "--labels", PREPARED],
            "--predictions: found 1 file for 2 runs",
        ),
        (["runs/skirt", "--split", "test"], "split 'test' has no images, found train, val"),
    ):
        assert message in refused(capsys, *arguments, "--out", out)
        assert not out.exists()


def test_without_its_prepared_folder_a_run_has_a_report_that_says_so(
    place: Path, trained_cnn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predicted, page = tmp_path / "submission.csv", tmp_path / "report.html"
    run = ["--run", "runs-cnn/skirt"]
    assert fashionai("predict", *run, "--task", "skirt", "--out", predicted, *QUICK) == 0
    shutil.copytree(trained_cnn, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    given = ["--predictions", predicted, "--labels", place / "data/answers.csv"]
    assert fashionai("report", "run", *given, "--out", page) == 0
    told = "cannot be read, so that its classes, sizes and duplicates are missing"
    assert told in page.read_text()
