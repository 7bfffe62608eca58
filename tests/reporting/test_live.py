"""The live table of runs and its curves."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from fashionai.errors import RunError
from fashionai.files.locks import LOCK_FILE, locked
from fashionai.reporting.live import curve, live_table, watch
from fashionai.runs import find_runs
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
        (tmp_path / name / "metrics.json").unlink()
    (tmp_path / "damaged/config.yaml").write_text("epochs: [")
    return tmp_path


def test_running_runs_come_first_with_the_time_that_is_left(runs: Path) -> None:
    history = np.genfromtxt(runs / "running/history.csv", delimiter=",", names=True)
    with locked(runs / "running" / LOCK_FILE, RunError("busy")):
        heading, running, *others = live_table(find_runs(runs)).splitlines()
    assert heading.split() == ["run", "state", "epochs", "mAP", "left", "mAP", "by", "epoch"]
    assert running.split()[1:4] == ["running", "3/8", f"{history['val_map'].max():.4f}"]
    assert running.split()[4:6] == [f"{5 * history['seconds'].mean():.0f}", "s"]
    assert running.endswith(curve(list(history["val_map"])))
    states = {line.split()[0].rpartition("/")[2]: line.split()[1:3] for line in others}
    assert states == {
        "finished": ["finished", "8/8"],
        "stopped": ["stopped", "3/8"],
        "damaged": ["unreadable"],
    }
    assert max(map(len, [heading, running, *others])) <= 80


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
    assert live_table(find_runs(tmp_path)) == "no runs yet"
    assert "--watch" in run_cli("runs", "--help", cwd=tmp_path).stdout
