"""prepare --skip-bad leaves out images that a CSV file lists and that do not exist."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tests.support.commands import fashionai
from tests.support.data_trees import put, tree
from tests.support.images import encode


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_missing_images_are_left_out_but_not_nearly_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{number}.png" for number in range(10)]
    lines = ["file,label", *(f"{name},{'ab'[int(name[0]) % 2]}" for name in names)]
    labels = put(tmp_path / "labels.csv", "\n".join(lines))
    command = ["prepare", "--task", "birds", "--csv", labels, "--out", tmp_path / "out"]
    assert fashionai(*command, "--skip-bad") == 2
    missing = f"{labels}:2: image {tmp_path}/0.png does not exist (and 9 more)"
    assert f"{missing}. More than 90 % are missing" in capsys.readouterr().err
    assert fashionai(*command) == 2
    assert f"{missing}. Paths are relative to" in capsys.readouterr().err
    rng = np.random.default_rng(0)
    for name in names[3:]:
        put(tmp_path / name, encode(int(name[0]) % 2, rng, ".png"))
    assert fashionai(*command) == 2
    assert "(and 2 more). --skip-bad leaves out missing images" in capsys.readouterr().err
    assert fashionai(*command, "--skip-bad") == 0
    folder = tmp_path / "out" / "birds"
    assert f"3 images rejected: {folder}/rejected.csv" in capsys.readouterr().out
    assert {row["source"] for row in rows(folder / "manifest.csv")} == set(names[3:])
    rejected = [
        (row["source"], row["where"], row["reason"]) for row in rows(folder / "rejected.csv")
    ]
    reason = "cannot be read: No such file or directory"
    assert rejected == [(f"{at}.png", f"{labels}:{at + 2}", reason) for at in range(3)]
    # The prepared files of images whose sources are deleted later may be the last ones.
    (tmp_path / names[3]).unlink()
    before = tree(folder)
    assert fashionai(*command, "--skip-bad") == 2
    lost = f"{folder}: 1 prepared image would be deleted, because the source does not exist"
    assert f"Error: {lost} any more, such as 3.png" in capsys.readouterr().err
    assert tree(folder) == before
