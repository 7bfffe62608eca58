"""An observer may end a run after an epoch; the run is left as if it had been stopped there."""

from __future__ import annotations

from pathlib import Path

import pytest

from fashionai.config import load_config
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.runs import Run, RunFolder, create_run
from fashionai.training.records.observers import EndOfRun
from fashionai.training.trainer import Trainer
from fashionai.tuning.search import EpochObserver
from tests.support.resuming import assert_same_end
from tests.support.trained_runs import write_config

mx = import_mxnet()


def test_a_run_that_an_observer_ends_can_be_resumed(
    prepared_skirts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prepared_skirts)
    config = load_config(write_config(tmp_path, epochs=2, batch_size=42))
    told: list[int] = []
    beginnings: list[str] = []

    def end_after_one(rows: list[dict[str, float]]) -> None:
        told.append(len(rows))
        raise EndOfRun("enough")

    ended = create_run(tmp_path / "ended")
    with pytest.raises(EndOfRun, match="enough"):
        Trainer(
            config,
            [mx.cpu()],
            observers=[EpochObserver(end_after_one, lambda: beginnings.append("first"))],
        ).fit(ended)
    assert told == [1]
    assert Run(ended).metrics["epochs"] == 1
    assert not Run(ended).is_finished
    assert not (ended.path / ".lock").exists()

    quiet = EpochObserver(lambda rows: None, lambda: beginnings.append("again"))
    Trainer(config, [mx.cpu()], Run(ended), observers=[quiet]).fit(ended)
    assert beginnings == ["first", "again"]
    whole = create_run(tmp_path / "whole")
    Trainer(config, [mx.cpu()]).fit(whole)
    assert_same_end(RunFolder(ended.path).path, whole.path)
