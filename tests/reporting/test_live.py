"""The live table of runs and its curves."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from fashionai.errors import RunError
from fashionai.files.locks import LOCK_FILE, locked
from fashionai.reporting.live import curve, live_table, watch
from fashionai.reporting.tables import run_table
from fashionai.runs import Run, RunFolder
from fashionai.training.speed.estimate import duration
from tests.support.commands import run_cli


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ""),
        ([0.5], "▁"),
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([3, math.nan, 1], "█ ▁"),
        ([0.2, 0.2], "▁▁"),
        ([math.nan], " "),
    ],
)
def test_a_curve_goes_from_the_lowest_to_the_highest_value(
    values: list[float], expected: str
) -> None:
    assert curve(values) == expected


def test_a_long_curve_has_the_means_of_neighbours() -> None:
    values = np.repeat(np.arange(16.0), 5) + np.tile([-2, -1, 0, 1, 2], 16)
    assert curve(list(values)) == curve(list(np.arange(16.0)))
    assert len(curve(list(range(33)))) == 16


@pytest.fixture
def runs(trained: Path, trained_cnn: Path, tmp_path: Path) -> Path:
    """A finished run, one that trains, one that was stopped, and one with a damaged file."""
    for name in ("finished", "running", "stopped", "damaged"):
        shutil.copytree(trained / "runs/skirt", tmp_path / name)
        (tmp_path / name / LOCK_FILE).unlink(missing_ok=True)
    for name in ("running", "stopped"):
        file = tmp_path / name / "history.csv"
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:4]))
        metrics = json.loads((tmp_path / name / "metrics.json").read_text())
        # As with the monitor "last": the epoch that is kept is not the one with the best mAP.
        metrics.update(finished=False, epochs=3, best={**metrics["best"], "map": 0.12346})
        (tmp_path / name / "metrics.json").write_text(json.dumps(metrics))
    (tmp_path / "damaged/config.yaml").write_text("epochs: [")
    return tmp_path


def test_running_runs_come_first_with_the_time_that_is_left(runs: Path) -> None:
    history = np.genfromtxt(runs / "running/history.csv", delimiter=",", names=True)
    with locked(runs / "running" / LOCK_FILE, RunError("busy")):
        heading, running, *others = live_table(runs).splitlines()
    assert heading.split() == ["run", "state", "epochs", "mAP", "left", "mAP", "by", "epoch"]
    assert running.split()[1:4] == ["running", "3/8", "0.1235"]
    assert running.split()[4:6] == [f"{5 * history['seconds'].mean():.0f}", "s"]
    assert running.endswith(curve(list(history["val_map"])))
    states = {line.split()[0].rpartition("/")[2]: line.split()[1:3] for line in others}
    assert states == {
        "finished": ["finished", "8/8"],
        "stopped": ["stopped", "3/8"],
        "damaged": ["unreadable"],
    }
    assert max(map(len, [heading, running, *others])) <= 80


@pytest.mark.parametrize(
    ("line", "mark", "state"),
    [
        ("the loss is nan at epoch 4, step 2 of 5. Try precision=float32", "!", "failed"),
        ("the validation loss is inf after epoch 4. Try precision=float32", "!", "failed"),
        ("resuming in epoch 4, step 1", "", "stopped"),
    ],
)
def test_a_run_whose_loss_was_not_finite_has_failed(
    runs: Path, line: str, mark: str, state: str
) -> None:
    """Its log ends with the error; both tables tell it."""
    with open(runs / "stopped/train.log", "a") as log:
        log.write(f"2026-01-01 12:00:00,000 {line}\n")
    (shown,) = (each for each in live_table(runs).splitlines() if "/stopped " in each)
    assert shown.split()[1:3] == [state, "3/8"]
    table = run_table([Run(RunFolder(runs / "stopped"))])
    assert f" 3 of 8{mark} " in table
    assert ("! failed" in table) == bool(mark)


@pytest.mark.parametrize(
    "content",
    [
        b"epoch,val_map,seconds\n",
        b"epoch,val_map,seconds\n1,many,2\n",
        b"epoch,val_map\n1,0.5\n",
        b"\xff\xd8",
        b"epoch,val_map,seconds\n1,0.5," + b"2" * 200_000 + b"\n",
    ],
    ids=["no epoch", "no number", "no seconds", "no text", "too long a number"],
)
def test_a_run_with_a_damaged_history_is_listed_without_its_curve(
    runs: Path, content: bytes
) -> None:
    (runs / "stopped/history.csv").write_bytes(content)
    lines = [each for each in live_table(runs).splitlines() if "/stopped " in each]
    assert [line.split()[1:] for line in lines] == [["stopped", "0/8", "0.1235"]]


@pytest.fixture
def folds(trained: Path, tmp_path: Path) -> Path:
    """A cross-validation of a finished fold, one that trains, and one that has not begun."""
    path = tmp_path / "folded"
    path.mkdir()
    (path / "cross_validation.yaml").write_text("folds: 3\n")
    for number in (1, 2):
        shutil.copytree(trained / "runs/skirt", path / f"fold-{number}")
    file = path / "fold-2/history.csv"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:4]))
    (path / "fold-2/metrics.json").unlink()
    return path


def test_the_folds_of_a_cross_validation_are_below_it(folds: Path) -> None:
    shutil.copytree(folds / "fold-1", folds.parent / "alone")
    with locked(folds / "fold-2" / LOCK_FILE, RunError("busy")):
        _, *lines = live_table(folds.parent).splitlines()
    one, two = (
        np.genfromtxt(folds / name / "history.csv", delimiter=",", names=True)
        for name in ("fold-1", "fold-2")
    )
    seconds = [*one["seconds"], *two["seconds"]]
    assert lines[0].split()[1:5] == ["1/3", "folds", "11/24", "-"]
    assert lines[0].endswith(f"  {duration(13 * float(np.mean(seconds)))}")
    assert [line.split()[:3] for line in lines[1:4]] == [
        ["fold-1", "finished", "8/8"],
        ["fold-2", "running", "3/8"],
        ["fold-3", "waiting"],
    ]
    assert lines[4].split()[0].endswith("/alone")
    assert max(map(len, lines)) <= 80


def test_a_finished_cross_validation_has_its_mean_score(folds: Path) -> None:
    (folds / "cross_validation.yaml").write_text("folds: 2\n")
    shutil.copy(folds / "fold-1/metrics.json", folds / "fold-2")
    (folds / "scores.json").write_text('{"mean": {"map": 0.87654}}')
    _, line, *lines = live_table(folds.parent).splitlines()
    assert line.split()[1:] == ["2/2", "folds", "11/16", "0.8765"]
    assert [each.split()[1] for each in lines] == ["finished", "finished"]


def test_scores_without_a_value_are_a_dash(folds: Path) -> None:
    (folds / "scores.json").write_text('{"mean": {"map": null}}')
    metrics = json.loads((folds / "fold-1/metrics.json").read_text())
    metrics.update(best={"map": None}, averaged_runs=2)
    soup = shutil.copytree(folds / "fold-1", folds.parent / "soup")
    (soup / "metrics.json").write_text(json.dumps(metrics))
    lines = live_table(folds.parent).splitlines()
    assert lines[1].split()[1:] == ["1/3", "folds", "11/24", "-"]
    assert lines[-1].split()[1] == "finished"
    assert lines[-1].split()[-1] == "-"


def test_a_damaged_cross_validation_hides_no_runs(folds: Path) -> None:
    shutil.copytree(folds / "fold-1", folds.parent / "alone")
    (folds / "cross_validation.yaml").write_text("folds: many\n")
    _, alone, damaged = live_table(folds.parent).splitlines()
    assert alone.split()[1] == "finished"
    assert damaged.split()[1] == "unreadable"


def test_the_table_is_shown_when_it_has_changed(runs: Path) -> None:
    shown: list[str] = []
    changes = iter(["nothing", "a run is removed", "the end"])

    def wait(seconds: float) -> None:
        change = next(changes)
        if change == "a run is removed":
            shutil.rmtree(runs / "stopped")
        if change == "the end":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch(runs, shown.append, wait)
    assert ["/stopped" in table for table in shown] == [True, False]
    assert all("/finished" in table for table in shown)


def test_no_runs_yet(tmp_path: Path) -> None:
    assert live_table(tmp_path) == "no runs yet"
    assert "--watch" in run_cli("runs", "--help", cwd=tmp_path).stdout
