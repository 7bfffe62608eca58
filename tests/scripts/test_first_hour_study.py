"""The study of the first hour in small: its splits, its table, and that it goes on."""

from __future__ import annotations

import importlib
import json
from collections import Counter
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from fashionai.datasets.records import LabelledImage
from fashionai.files import write_json
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.zoo import build_network
from fashionai.weights.pretrained import import_file
from tests.support.commands import ROOT

mx = import_mxnet()
NETWORK = "mobilenet0.25"
NAMED = {"network": NETWORK}
CLASSES = ("bread", "fruit")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts/studies"))
    module = importlib.import_module("first_hour_study")
    monkeypatch.setattr(module, "TASKS", {"food": tuple(f"food/{name}" for name in CLASSES)})
    return module


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of 20 pictures, one of them twice; and weights of the network in the cache."""
    monkeypatch.setenv("FASHIONAI_HOME", str(tmp_path / "home"))
    build_network(NETWORK, 1000, 224).save_parameters(str(tmp_path / "w.params"))
    import_file(tmp_path / "w.params", NETWORK)
    rng = np.random.default_rng(0)
    for name in CLASSES:
        folder = tmp_path / "png/food" / name
        folder.mkdir(parents=True)
        for number in range(20):
            image = rng.integers(0, 256, (40, 40, 3), np.uint8)
            cv2.imwrite(str(folder / f"{number:02}.png"), image)
        (folder / "again.png").write_bytes((folder / "00.png").read_bytes())
    return tmp_path / "png"


def test_all_recipes_are_trained_once_and_listed_beside_scikit_learn(
    script: ModuleType,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    arguments = ["--quick", "--network", NETWORK, "--pictures", str(pictures), "--out", str(out)]
    recipes = ["--recipes", ",".join(script.RECIPES)]
    monkeypatch.setattr("sys.argv", ["first_hour_study.py", *arguments, *recipes])
    # These stand for torchvision, which the tests do without, and which lacks this small network.
    monkeypatch.setattr(
        script, "export", lambda run, kind, folder: write_json(folder / "model.json", NAMED)
    )
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\necho "$2" > peer.json\necho \'{"accuracy": 0.5, "seconds": 2}\'\n'
    )
    python.chmod(0o755)
    monkeypatch.setenv("BENCH_PYTHON", str(python))
    monkeypatch.chdir(tmp_path)
    tables = []
    for _ in range(2):
        script.main()
        lines = capsys.readouterr().out.splitlines()
        tables.append([line for line in lines if line.startswith("|")])
        times = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/*")}
    assert tables[0] == tables[1]
    assert times == {path: path.stat().st_mtime_ns for path in out.glob("runs/*/*")}
    methods = (script.LOGISTIC, script.LOGISTIC_ALL, *script.RECIPES)
    rows = [line.split("|") for line in tables[0][2:]]
    assert [row[2].strip() for row in rows] == list(methods)
    results = json.loads((out / "results.json").read_text())["food-0"]
    for row, method in zip(rows, methods):
        accuracy, reference = results[method]["accuracy"], results[script.LOGISTIC]["accuracy"]
        assert row[4].split()[0] == f"{accuracy:.3f}"
        assert row[5].split()[0] == f"{accuracy - reference:+.3f}"
    assert len(list((out / "pictures/food/bread").iterdir())) == 20, "one copy of each picture"
    peer = json.loads((tmp_path / "peer.json").read_text())
    assert peer["seconds"] == max(results[recipe]["seconds"] for recipe in script.OURS)
    assert Path(peer["folder"], "train").is_dir()
    assert (peer["network"], peer["resize"], peer["crop"]) == (NETWORK, 144, 128)


def make_images(counts: dict[int, int]) -> list[LabelledImage]:
    return [
        LabelledImage(f"{index}-{number}", None, b"", index, str(index), "")
        for index, count in counts.items()
        for number in range(count)
    ]


def test_splits_are_stratified_seeded_and_bounded(script: ModuleType) -> None:
    images = make_images({0: 100, 1: 10, 2: 3})
    chosen = [script.choose_splits(images, 80, seed) for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]
    for each in chosen:
        assert len({image.source for image in each}) == len(each)
        counts = Counter((image.class_index, image.split) for image in each)
        assert counts == {
            **{(0, "test"): 24, (0, "val"): 6, (0, "train"): 50},
            **{(1, "test"): 3, (1, "val"): 1, (1, "train"): 6},
            **{(2, "test"): 1, (2, "val"): 1, (2, "train"): 1},
        }


def test_a_mean_has_the_standard_error_of_a_sample(script: ModuleType) -> None:
    values = [0.5, 0.75, 0.875]
    error = np.std(values, ddof=1) / np.sqrt(3)
    assert script.mean_and_error(values) == f"{np.mean(values):.3f} ± {error:.3f}"
    assert script.mean_and_error([0.25], "+") == "+0.250 ± 0.000"


def test_pictures_that_are_not_there(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--pictures", str(tmp_path), "--out", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", ["first_hour_study.py", *arguments])
    with pytest.raises(SystemExit, match="food/bread: no pictures found"):
        script.main()
