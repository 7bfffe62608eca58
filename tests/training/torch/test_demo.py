"""The drawn demo: networks that PyTorch trains are as good as those of MXNet, over three seeds.

Takes a quarter of an hour, and so is left out unless asked for: pytest -m torch_demo.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import numpy as np
import pytest

from tests.support.commands import run_cli

SEEDS = (0, 1, 2)
ENGINES = ("gluon", "torch")
# Of the mean of the mean average precision, on the test labels.
LARGEST_DIFFERENCE = 0.02
LABELS = "data/demo/fashionAI_attributes_answer_a_20180428.csv"


def run(folder: Path, *arguments: object) -> str:
    done = run_cli(*arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def probabilities(file: Path) -> np.ndarray:
    lines = [line.split(",") for line in file.read_text().splitlines()]
    return np.array([[float(value) for value in line[2].split(";")] for line in lines])


def predict(folder: Path, name: str, engine: str) -> Path:
    """The predictions of a run for the test images, computed by an engine."""
    file = folder / f"{name}-by-{engine}.csv"
    options = ["--data", "data/demo", "--task", "skirt", "--engine", engine, "--out", file]
    run(folder, "predict", "--run", f"runs/{name}", *options)
    return file


def score(folder: Path, name: str) -> float:
    """The mAP of a run on the test labels."""
    file = predict(folder, name, "gluon")
    report = folder / f"{name}.json"
    options = ["--labels", LABELS, "--task", "skirt", "--json", report]
    run(folder, "evaluate", "--predictions", file, *options)
    return float(json.loads(report.read_text())["map"])


@pytest.mark.torch_demo
def test_the_demo_is_learnt_as_well_and_predicted_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A network this small gains nothing from more threads.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    run(tmp_path, "demo", "--out", "data/demo")
    folders = ["--data", "data/demo", "--out", "data/demo/train_valid"]
    run(tmp_path, "prepare", "--task", "skirt", *folders)
    scores = {}
    for seed in SEEDS:
        for engine in ENGINES:
            name = f"{engine}-{seed}"
            options = ["--run", f"runs/{name}", "--engine", engine, f"seed={seed}"]
            run(tmp_path, "train", "--config", "demo", *options)
            scores[name] = score(tmp_path, name)
    print(scores)
    means = [statistics.mean(scores[f"{engine}-{seed}"] for seed in SEEDS) for engine in ENGINES]
    assert min(means) > 0.9
    assert abs(means[0] - means[1]) <= LARGEST_DIFFERENCE
    run(tmp_path, "quantize", "--run", "runs/torch-0")
    expected = probabilities(tmp_path / "torch-0-by-gluon.csv")
    for engine, tolerance in (("fused", 1e-4), ("onnx", 1e-4), ("torch", 1e-4), ("int8", 0.1)):
        found = probabilities(predict(tmp_path, "torch-0", engine))
        np.testing.assert_allclose(found, expected, atol=tolerance)
        same = (found.argmax(axis=1) == expected.argmax(axis=1)).mean()
        assert same >= (0.98 if engine == "int8" else 1)
