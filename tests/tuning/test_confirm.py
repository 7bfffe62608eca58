"""Confirmation of a tuned configuration: its statistics, what it says, and its trainings."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Optional

import numpy as np
import pytest
from scipy import stats

from fashionai.config import load_config
from fashionai.errors import DivergedError
from fashionai.runs import Run, RunFolder, find_runs
from fashionai.training.records.history import EpochRow
from fashionai.tuning.confirm import Confirmation, _train, confirmation_lines, scores_on_folds
from fashionai.tuning.settings import Given
from fashionai.tuning.study import open_study
from tests.support.commands import fashionai
from tests.support.prepared_data import move_to_test
from tests.support.trained_runs import write_config

TUNED, UNTUNED = [0.91, 0.93, 0.935, 0.9], [0.88, 0.905, 0.9, 0.89]
STUDY = Path("runs/skirt-tune")


def confirmation(**values: object) -> Confirmation:
    given = {
        "objective": "map",
        "on_folds": False,
        "images": 100,
        "tuned": TUNED,
        "untuned": UNTUNED,
        "validation": (0.95, 0.9),
    }
    return Confirmation(**{**given, **values})


def test_the_interval_of_seeds_is_welchs() -> None:
    expected = stats.ttest_ind(TUNED, UNTUNED, equal_var=False).confidence_interval(0.95)
    assert confirmation().interval() == pytest.approx((expected.low, expected.high))


def test_the_interval_of_folds_is_that_of_their_differences() -> None:
    expected = stats.ttest_rel(TUNED, UNTUNED).confidence_interval(0.95)
    found = confirmation(on_folds=True).interval()
    assert found == pytest.approx((expected.low, expected.high))


def test_a_lower_loss_is_a_gain() -> None:
    found = confirmation(objective="skirt.log_loss", tuned=[0.1, 0.2], untuned=[0.4, 0.5])
    assert found.gain == pytest.approx(0.3)
    assert confirmation(objective="log_loss", validation=(0.3, 0.5)).expected == pytest.approx(0.2)
    low, high = found.interval()
    assert low < 0.3 < high


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "About 50% of the gain in the search was luck"),
        ({"validation": (0.92, 0.9)}, "not smaller than in the search of 20 trials"),
        ({"tuned": [0.9], "untuned": [0.8]}, "One training of each does not tell"),
        (
            {"tuned": [0.9, 0.8], "untuned": [0.8, 0.84]},
            "contains 0: 2 trainings of each do not tell",
        ),
        ({"tuned": [0.7, 0.71], "untuned": [0.8, 0.81]}, "Nothing of the gain"),
        ({"tuned": [0.7, 0.71], "untuned": [0.8, 0.81]}, "worse than the untuned one"),
        ({"tuned": [0.9, 0.9], "untuned": [0.8, 0.8]}, "more than the chance of seeds"),
        # The first objective is the time per image.
        (
            {"tuned": [0.7, 0.71], "untuned": [0.8, 0.81], "validation": (0.85, 0.9)},
            "The search chose this trial for its other objective, not for a better mAP. The tuned",
        ),
    ],
)
def test_what_is_said_follows_from_the_scores(values: dict[str, object], told: str) -> None:
    lines = confirmation_lines(confirmation(**values), 20)
    assert max(map(len, lines)) <= 80
    assert told in " ".join(lines)


@pytest.mark.parametrize("validation", [(0.85, 0.9), (0.9, 0.9)])
@pytest.mark.parametrize("tuned", [TUNED, UNTUNED, [0.5, 0.5, 0.5, 0.6]])
def test_without_a_gain_in_the_search_none_is_compared_with_it(
    validation: tuple[float, float], tuned: list[float]
) -> None:
    lines = confirmation_lines(confirmation(tuned=tuned, validation=validation), 20)
    conclusion = " ".join(lines[5:])
    assert "luck" not in conclusion
    assert "smaller" not in conclusion


def rows_of(scores: list[float], averaged: Optional[list[float]] = None) -> list[EpochRow]:
    rows = [
        {"epoch": float(epoch), "val_map": score, "val_log_loss": 1 - score}
        for epoch, score in enumerate(scores, 1)
    ]
    for row, score in zip(rows, averaged or []):
        row |= {"ema_map": score, "ema_log_loss": 1 - score}
    return rows


def test_a_fold_is_scored_at_the_epoch_that_is_best_on_the_others() -> None:
    folds = [[0.5, 0.7, 0.6], [0.9, 0.8, 0.2], [0.5, 0.6, 0.8]]
    # The means of the other two: (0.7, 0.7, 0.5), (0.5, 0.65, 0.7), (0.7, 0.75, 0.4).
    found = scores_on_folds([*map(rows_of, folds)], 3, "map", "map")
    assert found == [0.5, 0.2, 0.6]
    # The loss is 1 - mAP.
    assert scores_on_folds([*map(rows_of, folds)], 3, "log_loss", "map") == found
    assert scores_on_folds([*map(rows_of, folds)], 3, "last", "map") == [0.6, 0.2, 0.8]
    # Of averaged weights, where those are better on the other fold.
    pair = [rows_of([0.5, 0.6], [0.7, 0.4]), rows_of([0.6, 0.8], [0.5, 0.7])]
    assert scores_on_folds(pair, 2, "map", "map") == [0.6, 0.5]


def test_a_fold_that_has_stopped_early_keeps_its_last_score() -> None:
    folds = [rows_of([0.5, 0.7, 0.8]), rows_of([0.6, 0.4])]
    assert scores_on_folds(folds, 3, "map", "map") == [0.5, 0.4]


def test_noise_between_epochs_is_no_gain() -> None:
    """Scores of 0.8 with a deviation of 0.05: the best of 20 epochs would have 0.09 more."""
    rng = np.random.default_rng(0)
    folds = [[rows_of(rng.normal(0.8, 0.05, 20).tolist()) for _ in range(3)] for _ in range(300)]
    scores = [scores_on_folds(each, 20, "map", "map") for each in folds]
    assert np.mean(scores) == pytest.approx(0.8, abs=0.005)


@pytest.fixture(scope="module")
def searched(prepared: Path) -> Path:
    """A folder with data/ and a search whose second trial is better than the first."""
    write_config(prepared, epochs=1, batch_size=42, lr=1e-6)
    (prepared / "space.yaml").write_text("optimizer.lr: [0.02]\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(prepared)
        arguments = ["--config", "small.yaml", "--space", "space.yaml", "--trials", "2"]
        assert fashionai("tune", *arguments, "--objective", "log_loss") == 0
    return prepared


@pytest.fixture
def work(searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = shutil.copytree(searched, tmp_path / "work")
    monkeypatch.chdir(folder)
    return folder


def confirm(count: int, capsys: pytest.CaptureFixture[str]) -> str:
    arguments = ["--run", STUDY, "--resume", "--trials", "2", "--confirm", count]
    assert fashionai("tune", *arguments) == 0
    return capsys.readouterr().out


def test_without_test_images_fresh_folds_are_used(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = confirm(2, capsys)
    folder = STUDY / "confirm-2-folds"
    runs = [
        [Run(RunFolder(folder / f"trial-{number}-fold-{fold}")) for fold in (1, 2)]
        for number in (1, 0)
    ]
    assert len(find_runs(folder)) == 4
    assert [run.config.optimizer.lr for run in runs[0] + runs[1]] == [0.02, 0.02, 1e-6, 1e-6]
    assert all(run.config.data.fold == fold for pair in runs for fold, run in enumerate(pair, 1))
    losses = [[run.metrics["best"]["log_loss"] for run in pair] for pair in runs]
    assert f"  tuned    {np.mean(losses[0]):.4f}" in output
    assert f"  gain     {np.mean(losses[1]) - np.mean(losses[0]):.4f}" in output
    assert not [*folder.rglob("*.params")]
    comments = Path("configs/skirt-tuned.yaml").read_text()
    assert "# confirmed on 2 fresh folds, each at the epoch that is best on the others:" in comments
    # A later search without new trials keeps it; one that has only begun is none.
    shutil.copytree(folder, STUDY / "confirm-3-folds")
    assert fashionai("tune", "--run", STUDY, "--resume") == 0
    assert f"  gain     {np.mean(losses[1]) - np.mean(losses[0]):.4f}" in capsys.readouterr().out
    assert Path("configs/skirt-tuned.yaml").read_text() == comments


def test_test_images_are_scored_with_new_seeds_once(
    searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(searched, tmp_path / "split", ignore=shutil.ignore_patterns("runs"))
    monkeypatch.chdir(folder)
    move_to_test(folder / "data/train_valid/skirt_length_labels")
    arguments = ["--config", "small.yaml", "--space", "space.yaml", "--trials", "2", "--resume"]
    arguments += ["--objective", "log_loss", "--confirm", "1", "evaluate_test=end"]
    assert fashionai("tune", *arguments) == 0
    runs = {number: STUDY / f"confirm/trial-{number}-seed-1" for number in (0, 1)}
    for run in runs.values():
        assert Run(RunFolder(run)).config.seed == 3 + 1
        assert "test" in json.loads((run / "metrics.json").read_text())
    # The search itself has not seen them, whatever the configuration says.
    assert "test" not in json.loads((STUDY / "trial-1/metrics.json").read_text())
    before = {run: (run / "metrics.json").stat().st_mtime_ns for run in runs.values()}
    assert fashionai("tune", *arguments) == 0
    assert {run: (run / "metrics.json").stat().st_mtime_ns for run in before} == before
    # A kill after the last epoch may leave these.
    remains = [runs[0] / ".lock", runs[1] / "best.params"]
    for file in remains:
        file.touch()
    assert fashionai("tune", *arguments) == 0
    assert not any(file.exists() for file in remains)


def test_the_results_are_written_before_a_confirmation_that_fails(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = [Path("configs/skirt-tuned.yaml"), STUDY / "trials.csv", STUDY / "tune.png"]
    for file in results:
        file.unlink()
    arguments = ["--run", STUDY, "--resume", "--trials", "2", "--confirm", "500"]
    assert fashionai("tune", *arguments) == 2
    output, error = capsys.readouterr()
    assert "too few images for 500 folds" in error
    assert all(file.is_file() and str(file) in output for file in results)
    assert load_config(results[0]).optimizer.lr == 0.02


def test_an_error_of_a_confirmation_names_the_run(work: Path) -> None:
    study = open_study(Given(), STUDY, "cpu", [], None, resume=True)
    config = study.config.changed({"optimizer.lr": 1e30, "epochs": 2})
    folder = STUDY / "confirm/trial-1-seed-1"
    with pytest.raises(DivergedError, match=f"^{folder}: .*loss is nan"):
        _train(study, [(RunFolder(folder), config)])


def test_a_study_is_opened_for_other_devices_as_it_was_begun(work: Path) -> None:
    study = open_study(Given(), STUDY, "cpu", [], None, resume=True)
    assert study.settings.objectives == ["log_loss"]
    assert study.config.monitor == "log_loss"
