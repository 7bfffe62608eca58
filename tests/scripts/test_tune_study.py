"""The study of searches in small: each search has a result, and a second call computes none."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from tests.support.commands import ROOT
from tests.support.data_trees import write_idx_set


def test_the_results_are_kept_by_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT / "scripts/studies"))
    study = importlib.import_module("tune_study")
    write_idx_set(tmp_path / "idx", train=60, test=20)
    size = ["--rows", "60", "--test-rows", "20", "--epochs", "1", "--trials", "2", "--seeds", "1"]
    arguments = ["--out", str(tmp_path / "out"), "--data", str(tmp_path / "idx"), "--confirm", "1"]
    monkeypatch.setattr("sys.argv", ["tune_study.py", *arguments, *size])
    written = []
    for _ in range(2):
        study.main()
        printed = capsys.readouterr().out
        written.append(json.loads((tmp_path / "out/results.json").read_text()))
    assert written[0] == written[1]
    assert written[0].keys() == {"tpe-0", "random-0"}
    for result in written[0].values():
        assert f"{result['untuned']:.4f}" in printed
        assert result["best"] >= result["untuned"]
