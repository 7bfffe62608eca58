"""pseudo-label: which predictions it takes, compared with the prediction file and a naive loop."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from fashionai.predictions.pseudo_labelling import choose_rows
from tests.support.commands import fashionai
from tests.support.trained_runs import images_to_predict


def rows_of(file: str) -> list[dict[str, str]]:
    with open(file, newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture
def photos(
    trained: Path, trained_cnn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder with unlabelled images, and a copy of a labelled one."""
    monkeypatch.chdir(trained)
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in images_to_predict(trained):
        shutil.copy(path, folder)
    labelled = next(Path("data/train_valid").glob("*/train/*/*.jpg"))
    shutil.copy(labelled, folder / "labelled.jpg")
    return folder


def test_the_rows_are_those_of_the_prediction_file(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, whole = str(photos.parent / "pseudo.csv"), str(photos.parent / "all.csv")
    options = ["--run", "runs-cnn/skirt", "--questions", photos, "--crops", "1"]
    assert fashionai("predict", *options, "--format", "table", "--out", whole) == 0
    assert fashionai(
        "pseudo-label", *options, "--min-probability", "0.5", "--per-class", "2", "--out", out
    ) == 0  # fmt: skip
    printed = capsys.readouterr().out
    predicted = rows_of(whole)
    classes = [name for name in predicted[0] if name not in ("path", "class", "probability")]
    assert len(classes) == 6
    expected: dict[str, list[tuple[float, str]]] = {name: [] for name in classes}
    for row in predicted:
        values = [float(row[name]) for name in classes]
        if max(values) >= 0.5 and row["path"] != "labelled.jpg":
            expected[classes[int(np.argmax(values))]].append((max(values), row["path"]))
    wanted = {
        (name, path) for name in classes for _, path in sorted(expected[name], reverse=True)[:2]
    }
    found = rows_of(out)
    assert {(row["label"], Path(row["path"]).name) for row in found} == wanted
    assert all((Path(out).parent / row["path"]).is_file() for row in found)
    assert f"{len(found)} pseudo-labels" in printed
    assert "prepare --task skirt --pseudo-labels" in printed


def test_nothing_is_written_without_a_confident_image(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = photos.parent / "none.csv"
    options = ["--run", "runs-cnn/skirt", "--questions", photos, "--crops", "1", "--out", out]
    assert fashionai("pseudo-label", *options, "--min-probability", "1") == 2
    assert "no image reaches a probability of 1, the largest is 0." in capsys.readouterr().err
    assert not out.exists()


def test_rows_are_chosen_as_a_naive_loop_does() -> None:
    rng = np.random.default_rng(0)
    classes, largest = rng.integers(0, 4, 60), rng.integers(50, 60, 60) / 60
    allowed = rng.random(60) < 0.7
    expected: list[int] = []
    for each in range(4):
        rows = [row for row in range(60) if allowed[row] and classes[row] == each]
        expected += sorted(rows, key=lambda row: (-largest[row], row))[:5]
    assert choose_rows(classes, largest, allowed, 5).tolist() == sorted(expected)
    assert choose_rows(classes, largest, allowed, None).tolist() == np.flatnonzero(allowed).tolist()
