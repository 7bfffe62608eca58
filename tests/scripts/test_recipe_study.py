"""The study of recipes in small: every recipe has a row, and finished rows are kept."""

from __future__ import annotations

import csv
import importlib
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from fashionai import soup
from tests.support.commands import ROOT


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts/studies"))
    return importlib.import_module("recipe_study")


def test_each_drawing_has_one_part(
    study: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    for kind in study.KINDS:
        for number in range(20):
            path = tmp_path / "png" / kind / "deeper" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), rng.integers(0, 256, (9, 9, 3), np.uint8))
    monkeypatch.setattr(study, "PICTURES", tmp_path / "png")
    task = study.drawings(tmp_path)
    folders = [*(tmp_path / "labelled" / split for split in study.SHARES), task.unlabelled]
    parts = [{path.read_bytes() for path in folder.rglob("*.png")} for folder in folders]
    assert [len(part) for part in parts] == [30, 5, 25, 40]
    assert len(set.union(*parts)) == 100
    assert {image.split for image in task.data_set().images} == {"train", "val", "test"}


@pytest.mark.fashion_mnist
def test_all_recipes_and_the_rows_that_are_kept(
    study: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(study, "MIN_PROBABILITY", 0.05)
    monkeypatch.setattr(soup.estimate_statistics, "__defaults__", (2,))
    arguments = ["--rows", "90", "--test-rows", "20", "--epochs", "2", "--seeds", "0"]
    command = ["recipe_study.py", "fashion-mnist", "--out", str(tmp_path), *arguments]
    monkeypatch.setattr("sys.argv", command)
    study.main()
    table = capsys.readouterr().out
    rows_file = tmp_path / "rows.csv"
    with open(rows_file, newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["recipe"] for row in rows] == list(study.RECIPES)
    assert all(f"| {row['recipe']}, {float(row['cost']):g} |" in table for row in rows)
    # A row that is there is not computed again.
    text = rows_file.read_text()
    rows_file.write_text(
        text.replace(f"RandAugment,0,{rows[1]['accuracy']}", "RandAugment,0,0.125")
    )
    study.main()
    assert "| RandAugment, 1 | 0.1250 |" in capsys.readouterr().out
