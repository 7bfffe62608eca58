"""The study of transfer learning in small: its shares, its choices, and that it goes on."""

from __future__ import annotations

import csv
import importlib
import json
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.zoo import build_network
from tests.support.commands import ROOT
from tests.support.data_trees import write_idx_set

mx = import_mxnet()


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts/studies"))
    return importlib.import_module("transfer_study")


@pytest.fixture
def weights(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Random numbers in the place of the ImageNet weights, which are a download."""
    mx.random.seed(1)
    file = tmp_path / "random.params"
    build_network(script.NETWORK, 1000, 224).save_parameters(str(file))
    monkeypatch.setattr(script, "imagenet_weights", lambda: file)
    return file


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_idx_set(tmp_path / "idx", train=60, test=20, zipped=False)
    return tmp_path / "idx"


def run(script: ModuleType, monkeypatch: pytest.MonkeyPatch, data: Path, out: Path) -> None:
    arguments = ["--quick", "--data", str(data), "--out", str(out)]
    monkeypatch.setattr("sys.argv", ["transfer_study.py", *arguments])
    script.main()


def features(file: Path) -> dict[str, np.ndarray]:
    """What lies below the output layer, without the statistics of batch normalisation."""
    loaded = mx.nd.load(str(file))
    return {
        name: value.asnumpy()
        for name, value in loaded.items()
        if name.startswith("features") and "running" not in name
    }


def table_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]


def test_all_methods_are_trained_once_and_listed(
    script: ModuleType,
    weights: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    run(script, monkeypatch, data, out)
    table = table_of(capsys)
    assert len(table) == 2 + len(script.METHODS)
    assert (out / "transfer_study.png").read_bytes().startswith(b"\x89PNG")

    pretrained = features(weights)
    assert len(pretrained) > 100
    for method, same in (("frozen", True), ("fine-tuned", False), ("scratch", False)):
        (trained,) = (features(path / "best.params") for path in out.glob(f"runs/{method}-2-0-*"))
        assert pretrained.keys() == trained.keys()
        equal = all(np.array_equal(pretrained[name], trained[name]) for name in pretrained)
        assert equal == same

    times = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/*")}
    results = json.loads((out / "results.json").read_text())
    lost = next(name for name in results if name.startswith("frozen-2-"))
    rest = {name: result for name, result in results.items() if name != lost}
    (out / "results.json").write_text(json.dumps(rest))
    run(script, monkeypatch, data, out)
    assert table_of(capsys) == table
    assert json.loads((out / "results.json").read_text())[lost]["test"] == results[lost]["test"]
    assert {path: path.stat().st_mtime_ns for path in out.glob("runs/*/*")} == times


def test_shares_are_stratified_and_nested_and_apart_from_validation_and_test(
    script: ModuleType, data: Path, tmp_path: Path
) -> None:
    plan = script.Plan({1: 1, 3: 1}, 3, (0.1,), (0, 1), validation=2, test=1)
    study = script.Study(plan, data, tmp_path)
    found = {}
    for images, seed in ((1, 0), (3, 0), (3, 1)):
        manifest = study._prepare(images, seed) / "fashion-mnist/manifest.csv"
        with open(manifest, newline="") as handle:
            rows = list(csv.DictReader(handle))
        counts = Counter((row["split"], row["class_index"]) for row in rows)
        expected = {"train": images, "val": 2, "test": 1}
        assert counts == {(s, str(c)): n for s, n in expected.items() for c in range(10)}
        parts = {s: {row["source"] for row in rows if row["split"] == s} for s in expected}
        assert not parts["train"] & parts["val"]
        assert all(name.startswith("t10k") for name in parts["test"])
        assert all(name.startswith("train") for name in parts["train"] | parts["val"])
        found[images, seed] = parts
    assert found[1, 0]["train"] < found[3, 0]["train"] != found[3, 1]["train"]
    assert found[1, 0]["val"] == found[3, 0]["val"] != found[3, 1]["val"]
    assert found[3, 0]["test"] == found[3, 1]["test"]


def test_the_best_rate_on_validation_is_taken_the_lower_of_equal_ones(
    script: ModuleType, data: Path, tmp_path: Path
) -> None:
    plan = script.Plan({5: 1}, 5, (0.1, 0.2, 0.4), (3,), validation=1, test=1)
    method = script.METHODS[0]
    scores = {0.1: 0.25, 0.2: 0.75, 0.4: 0.75}
    named = {f"{method.name}-5-3-{rate}": {"validation": s} for rate, s in scores.items()}
    (tmp_path / "results.json").write_text(json.dumps(named))
    assert script.Study(plan, data, tmp_path).best_rate(method) == 0.2


def test_the_deviation_is_that_of_a_sample(script: ModuleType) -> None:
    row = script.MethodScores(script.METHODS[0], 10, 0.1, [0.5, 0.75, 0.875])
    assert row.deviation == pytest.approx(np.std(row.accuracies, ddof=1))


def test_too_few_images_are_refused(
    script: ModuleType, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "QUICK", script.QUICK._replace(epochs={6: 1}, rate_images=6))
    monkeypatch.setattr(script, "imagenet_weights", lambda: tmp_path / "unused.params")
    with pytest.raises(SystemExit, match="too few images of class T-shirt/top"):
        run(script, monkeypatch, data, tmp_path / "out")
