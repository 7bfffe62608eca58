"""What is said about the result of a search, of one objective and of two."""

from __future__ import annotations

from pathlib import Path

import pytest

from fashionai.config import load_config
from fashionai.tuning.outcome import (
    LUCK,
    NOTHING_BETTER,
    NOTHING_TO_CONFIRM,
    nothing_to_confirm,
    outcome,
)
from fashionai.tuning.results import write_best
from fashionai.tuning.settings import Settings
from fashionai.tuning.spaces.space import Numbers, Parameter, Space
from fashionai.tuning.study import Study
from fashionai.tuning.trials import FINISHED, Trial

SPACE = Space([Parameter("optimizer.lr", Numbers(1e-4, 1.0, log=True))])


def study_of(*objectives: str) -> Study:
    study = Study(Path("runs/s"), load_config("skirt"), Settings(objectives), [], Path("best.yaml"))
    vars(study)["space"] = SPACE  # which would be read from the folder
    return study


def trials_of(*values: tuple[float, ...]) -> list[Trial]:
    rates = [0.01 * (1 + number) for number in range(len(values))]
    return [
        Trial(number, FINISHED, {"optimizer.lr": rate}, each)
        for number, (rate, each) in enumerate(zip(rates, values))
    ]


def test_of_one_objective_the_best_trial_is_told() -> None:
    study = study_of("map")
    assert outcome(study, trials_of((0.5,), (0.6,))) == [LUCK]
    assert outcome(study, trials_of((0.5,), (0.4,))) == [NOTHING_BETTER]
    assert nothing_to_confirm(study, trials_of((0.5,), (0.4,))) == NOTHING_TO_CONFIRM


def test_of_two_objectives_the_trade_off_that_the_file_holds_is_told() -> None:
    study = study_of("map", "time")
    text = " ".join(outcome(study, trials_of((0.5, 30.0), (0.4, 10.0), (0.3, 40.0))))
    assert text == (
        "best.yaml holds the given configuration (trial 0), the trade-off with the best mAP. "
        "The others are runs in runs/s: trial 1."
    )
    assert nothing_to_confirm(study, trials_of((0.5, 30.0), (0.4, 10.0))) == (
        "No trial has a better mAP than the given configuration: nothing to confirm."
    )
    lines = outcome(study, trials_of((0.5, 30.0), (0.6, 31.0), (0.4, 10.0)))
    assert "best.yaml holds trial 1, the trade-off" in " ".join(lines)
    assert " ".join(lines).endswith(f"runs/s: trial 0, 2. {LUCK}")
    assert max(map(len, lines)) <= 80
    # One that is better in both, or none: nothing is traded.
    assert outcome(study, trials_of((0.5, 30.0), (0.6, 20.0))) == [LUCK]
    assert outcome(study, trials_of((0.5, 30.0), (0.4, 40.0))) == [NOTHING_BETTER]


def test_the_file_lists_all_trade_offs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = study_of("map", "time")
    worse = [(0.1, 50.0 + number) for number in range(20)]
    front = [(0.5, 30.0), *((0.4 - 0.01 * number, 20.0 - number) for number in range(12))]
    write_best(study, trials_of(*front, *worse), ["a note"])
    comments = Path("best.yaml").read_text().splitlines()
    assert "# The trade-off with the best mAP of 33 trials, scored on the validation images." in (
        comments
    )
    start = comments.index("# none is better in both:")
    listed = comments[start + 1 : start + 1 + len(front)]
    assert [int(line.split()[1]) for line in listed] == [*range(13)]
    assert comments[start + 1 + len(front)] == "#"
    write_best(study, trials_of(front[0], *worse), [])
    comments = Path("best.yaml").read_text().splitlines()
    start = comments.index("# other trials:")
    assert [int(line.split()[1]) for line in comments[start + 1 : start + 10]] == [*range(1, 10)]
