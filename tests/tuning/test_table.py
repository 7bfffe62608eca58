"""What a search shows: 80 columns, and the right trials in the right order."""

from __future__ import annotations

from pathlib import Path

import pytest

from fashionai.config import load_config
from fashionai.tuning.budget import Budget
from fashionai.tuning.settings import Settings
from fashionai.tuning.spaces.space import Numbers, Parameter, Space
from fashionai.tuning.study import Study
from fashionai.tuning.table import (
    best_lines,
    importance_lines,
    live_table,
    table_lines,
    trial_lines,
)
from fashionai.tuning.trials import FAILED, FINISHED, PRUNED, RUNNING, Trial

SPACE = Space([Parameter("optimizer.lr", Numbers(1e-4, 1.0, log=True))])
TRIALS = [
    Trial(0, FINISHED, {"optimizer.lr": 0.1}, [0.5], [0.1, 0.5], 4000.0),
    Trial(1, PRUNED, {"optimizer.lr": 0.9}, (), [0.01], 100.0, "low scores"),
    Trial(2, FINISHED, {"optimizer.lr": 0.02}, [0.75], [0.3, 0.75], 4100.0),
    Trial(3, FAILED, {"optimizer.lr": 0.3}, (), (), 0.0, "a reason of many words " * 9),
    Trial(4, RUNNING, {"optimizer.lr": 0.01}, (), [0.4], 2000.0),
    *(Trial(n, PRUNED, {"optimizer.lr": 0.8}, (), [0.2], 90.0, "low scores") for n in range(5, 30)),
]


@pytest.fixture
def study() -> Study:
    config = load_config("fashion_mnist", ["epochs=2"])
    found = Study(Path("runs") / ("long-" * 30), config, Settings(["map"]), [], Path("a.yaml"))
    vars(found)["space"] = SPACE  # which would be read from the folder
    return found


def test_the_live_table_fits_a_terminal_and_begins_with_what_runs(study: Study) -> None:
    lines = live_table(study, Budget(trials=1000), TRIALS).splitlines()
    assert max(map(len, lines)) <= 80
    rows = [line.split()[0].rstrip(",") for line in lines[4:8]]
    assert rows == ["4", "2", "0", "29"]
    assert lines[1].startswith("29 of 1,000 trials, about ")
    assert lines[1].endswith("left, best: mAP 0.7500 (trial 2)")
    assert "and 15 more: 14 pruned, 1 failed" in lines


def test_the_last_table_has_all_trials_that_fit_and_counts_the_others(study: Study) -> None:
    lines = table_lines(study, TRIALS[:4])
    assert max(map(len, lines)) <= 80
    rows = [line.split() for line in lines[1:]]
    assert [row[0].rstrip(",") for row in rows] == ["2", "0", "3", "1"]
    assert "pruned" in rows[3]
    finished = [trial._replace(number=n) for n, trial in enumerate([TRIALS[2]] * 1013)]
    many = table_lines(study, [*TRIALS[:4], *TRIALS[5:], *finished])
    assert many[-1] == "and 1,027 more: 1,000 finished, 26 pruned, 1 failed"


@pytest.mark.parametrize("number", range(5))
def test_the_lines_of_a_trial_fit_a_terminal(study: Study, number: int) -> None:
    lines = trial_lines(study, Budget(seconds=9000), TRIALS, TRIALS[number])
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith(f"trial {number}: ")


def test_the_best_trial_is_told_with_what_it_changes(study: Study) -> None:
    assert best_lines(study, TRIALS) == [
        "best: trial 2, mAP 0.7500, untuned 0.5000",
        "  optimizer.lr=0.02",
    ]
    assert best_lines(study, TRIALS[:2]) == [
        "no trial is better than the configuration itself",
    ]
    assert best_lines(study, TRIALS[1:2]) == []


def test_bars_are_as_long_as_the_shares() -> None:
    lines = importance_lines({"optimizer.lr": 0.75, "data.crop": 0.25})
    assert [line.count("█") for line in lines] == [0, 22, 8]
    assert importance_lines({}) == []
