"""The stored trials: what is proposed, pruned and found important."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fashionai.errors import InstallationError
from fashionai.tuning import storage
from fashionai.tuning.spaces.space import Choices, Numbers, Parameter, Params, Space
from fashionai.tuning.storage import Storage
from fashionai.tuning.trials import PRUNED

SPACE = Space(
    [
        Parameter("optimizer.lr", Numbers(0.001, 1.0, log=True)),
        Parameter("batch_size", Numbers(8, 64, step=8, whole=True)),
        Parameter("schedule.name", Choices({"cosine": "cosine", "step": "step"})),
        Parameter("loss.mixup", Numbers(0.1, 0.4), {"schedule.name": ["cosine"]}),
    ]
)


def open_storage(folder: Path, sampler: str = "tpe", pruner: str = "median") -> Storage:
    return Storage(folder / "trials.sqlite", ["map"], sampler, pruner, steps=9, seed=1)


def value_of(params: Params) -> float:
    """The value of a trial: the closer the rate is to 0.1, the better; nothing else matters."""
    return 1 - abs(float(params["optimizer.lr"]) - 0.1)


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_proposals_lie_in_the_space_and_are_those_of_the_same_trials_again(
    tmp_path: Path, sampler: str
) -> None:
    found = open_storage(tmp_path, sampler)
    proposed = []
    for _ in range(8):
        params = found.propose(SPACE)
        # Another process with the same file, which has drawn nothing yet, proposes the same.
        assert open_storage(tmp_path, sampler).propose(SPACE) == params
        assert 0.001 <= params["optimizer.lr"] <= 1.0
        assert params["batch_size"] in range(8, 65, 8)
        assert ("loss.mixup" in params) == (params["schedule.name"] == "cosine")
        number = found.add(params, SPACE)
        found.report(number, [0.0], 1.0)
        found.finish(number, [value_of(params)])
        proposed.append(params)
    assert len({params["optimizer.lr"] for params in proposed}) == 8
    shares = found.importance([parameter.key for parameter in SPACE])
    assert sum(shares.values()) == pytest.approx(1)
    assert next(iter(shares)) == "optimizer.lr"
    assert [trial.params for trial in found.trials()] == proposed


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_no_parameters_are_proposed_twice(tmp_path: Path, sampler: str) -> None:
    choices = {"1": 1, "2": 2, "3": 3}
    space = Space(
        [Parameter("batch_size", Choices(choices)), Parameter("accumulate", Numbers(1, 3, step=1))]
    )
    proposed: list[Params] = []
    while True:
        params = open_storage(tmp_path, sampler).propose(space)
        assert open_storage(tmp_path, sampler).propose(space) == params
        if params is None:
            break
        assert params not in proposed
        proposed.append(params)
        found = open_storage(tmp_path, sampler)
        found.finish(found.add(params, space), [float(len(proposed) % 3)])
    assert len(proposed) == 9


def test_few_trials_tell_nothing_about_importance(tmp_path: Path) -> None:
    found = open_storage(tmp_path)
    number = found.add({"optimizer.lr": 0.1}, SPACE)
    found.finish(number, [0.5])
    assert found.importance(["optimizer.lr", "batch_size"]) == {}


@pytest.mark.parametrize("draw", range(5))
def test_parameters_that_all_trials_share_have_no_importance(tmp_path: Path, draw: int) -> None:
    space = Space([Parameter("data.crop", Numbers(224, 256, step=32)), *SPACE])
    found, rng = open_storage(tmp_path), np.random.default_rng(draw)
    for rate in rng.uniform(0.001, 1.0, 8).tolist():
        number = found.add({"data.crop": 224, "optimizer.lr": rate}, space)
        found.finish(number, [rng.random()])
    assert found.importance(["data.crop", "optimizer.lr"]) == {"optimizer.lr": pytest.approx(1)}
    assert found.importance(["data.crop"]) == {}


@pytest.mark.parametrize(
    ("pruner", "prunes"), [("median", [3]), ("hyperband", [1, 2, 3]), ("none", [])]
)
def test_low_scores_are_pruned_but_for_the_first_epochs(
    tmp_path: Path, pruner: str, prunes: list[int]
) -> None:
    found = open_storage(tmp_path, pruner=pruner)
    for _ in range(6):
        number = found.add({"optimizer.lr": 0.1}, SPACE)
        found.report(number, [0.5] * 9, 1.0)
        found.finish(number, [0.5])
    number = found.add({"optimizer.lr": 1.0}, SPACE)
    asked = [found.report(number, [0.1] * epochs, 1.0) for epochs in (1, 2, 3)]
    # The median of the others decides after a quarter of the epochs.
    assert {epochs for epochs, prune in enumerate(asked, start=1) if prune} <= {*prunes}
    assert any(asked) == bool(prunes)
    found.prune(number, "low scores")
    last = found.trials()[-1]
    assert (last.state, last.reason, last.scores) == (PRUNED, "low scores", [0.1] * 3)


@pytest.mark.parametrize("name", ["a?b=1", "a%20b", "a#b", "ü"])
def test_the_file_may_lie_in_any_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    open_storage(folder).add({"optimizer.lr": 0.1}, SPACE)
    assert [file.name for file in tmp_path.rglob("*")] == [name, "trials.sqlite"]
    assert len(open_storage(folder).trials()) == 1


def test_an_installation_without_optuna_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InstallationError, match=r"pip install 'fashionai\[tune\]'"):
        storage.check_installed()
