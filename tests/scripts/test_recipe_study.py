"""The study of recipes in small: every recipe has a row, and finished rows are kept."""

from __future__ import annotations

import csv
import importlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from fashionai import soup
from tests.support.commands import ROOT


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """20 drawings of each kind: random rectangles on a colour of the kind."""
    rng = np.random.default_rng(0)
    for hue, kind in enumerate(("office", "people", "plants", "tools", "transportation")):
        for number in range(20):
            image = np.full((40, 40, 3), 50 * hue, np.uint8)
            x, y = rng.integers(0, 30, 2)
            image[y : y + 9, x : x + 9] = rng.integers(0, 256, 3)
            path = tmp_path / "png" / kind / "deeper" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), image)
    return tmp_path / "png"


def test_all_recipes_and_the_rows_that_are_kept(
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    study = importlib.import_module("recipe_study")
    # The policies differ in a setting alone: one of them is enough.
    recipes = [each for each in study.RECIPES if each != "TrivialAugment"]
    smaller = {"FOLDS": 2, "BRANCHES": 2, "MIN_PROBABILITY": 0.05, "RECIPES": recipes}
    for name, value in {**smaller, "PICTURES": pictures}.items():
        monkeypatch.setattr(study, name, value)
    monkeypatch.setattr(soup.estimate_statistics, "__defaults__", (2,))
    out = tmp_path / "study"
    arguments = ["recipe_study.py", "drawings", "--out", str(out), "--epochs", "2", "--seeds", "0"]
    monkeypatch.setattr("sys.argv", arguments)
    study.main()
    table = capsys.readouterr().out
    rows_file = out / "rows.csv"
    with open(rows_file, newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["recipe"] for row in rows] == recipes
    assert all(f"| {row['recipe']}, {float(row['cost']):g} |" in table for row in rows)
    # A row that is there is not computed again, and no image is in two parts.
    rows_file.write_text(rows_file.read_text().replace(f",{rows[1]['accuracy']},", ",0.125,"))
    study.main()
    assert "| RandAugment, 1 | 0.1250 |" in capsys.readouterr().out
    parts = [{path.read_bytes() for path in (out / name).rglob("*.png")} for name in
             ("labelled/train", "labelled/val", "labelled/test", "unlabelled")]  # fmt: skip
    assert [len(part) for part in parts] == [25, 5, 30, 40]
    assert len(set.union(*parts)) == 100
