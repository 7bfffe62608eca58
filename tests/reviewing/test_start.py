"""What a review says when it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from fashionai.datasets.corrections import Correction, write_corrections
from fashionai.reviewing.start import ReviewFiles, review
from fashionai.serving import listening
from tests.support.commands import fashionai, run_in
from tests.support.data_trees import write_table


def test_a_review_tells_its_decisions_or_that_nothing_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_table(tmp_path, per_class=10)
    run_in(folder, ["prepare", "--task", "birds", "--csv", "labels.csv", "--images", "images"])
    monkeypatch.setattr(listening, "run_until_stopped", lambda *_, **options: None)
    file = tmp_path / "corrections.csv"
    files = ReviewFiles("birds", folder / "data/train_valid", None, file)
    told: list[str] = []
    review(files, 0, told.append)
    assert told[-1] == f"No decisions, so {file} was not written"
    assert not file.exists()
    rows = (folder / "labels.csv").read_text().splitlines()
    path, label = rows[1].split(",")[:2]
    write_corrections(file, [Correction(path, "drop", label, "", "", "2030-01-02")])
    review(files, 0, told.append)
    assert told[-1] == f"{file}: 1 decision"


def test_the_command_ends_with_what_applies_the_decisions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_table(tmp_path, per_class=10)
    run_in(folder, ["prepare", "--task", "birds", "--csv", "labels.csv", "--images", "images"])
    monkeypatch.chdir(folder)
    monkeypatch.setattr(listening, "run_until_stopped", lambda *_, **options: None)
    capsys.readouterr()
    assert fashionai("review", "--task", "birds") == 0
    assert "Next:" not in capsys.readouterr().out
    path, label = Path("labels.csv").read_text().splitlines()[1].split(",")[:2]
    write_corrections(Path("corrections.csv"), [Correction(path, "drop", label, "", "", "2030")])
    assert fashionai("review", "--task", "birds") == 0
    applied = "Next: add --corrections corrections.csv to the command that prepared"
    assert f"{applied} data/train_valid/birds\n" in capsys.readouterr().out
