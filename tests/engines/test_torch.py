"""The engine torch, and a run that PyTorch trained in the hands of every other command."""

from __future__ import annotations

import csv
import json
import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from fashionai.engines import choice as engine_choice
from fashionai.engines.opening import open_engine
from fashionai.engines.registry import ENGINES, EXACT_ENGINES
from fashionai.errors import ConfigError, InstallationError
from fashionai.frameworks import torch as torch_module
from fashionai.frameworks.devices import Device
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.runs import Run
from tests.support.commands import fashionai, run_in
from tests.support.installed import needs_torch
from tests.support.networks import disturb_normalisation, make_run
from tests.support.trained_runs import images_to_predict

mx = import_mxnet()

# PyTorch's warnings would appear in the user's terminal.
pytestmark = [needs_torch, pytest.mark.filterwarnings("error::UserWarning")]

TOLERANCES = {**dict.fromkeys(EXACT_ENGINES, 2e-6), "int8": 0.02}
CONFIG = """\
task: skirt
engine: torch
model: {name: small_cnn, pretrained: false}
data: {resize_short: 36, crop: 32}
epochs: 4
batch_size: 8
optimizer: {name: adam, lr: 0.005}
schedule: {name: cosine}
"""


@pytest.fixture(scope="module")
def folder(prepared_skirts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with runs/skirt, which PyTorch has trained, quantized."""
    folder = shutil.copytree(prepared_skirts, tmp_path_factory.mktemp("torch") / "skirts")
    (folder / "skirt.yaml").write_text(CONFIG)
    run_in(folder, ["train", "--config", "skirt.yaml"], ["quantize", "--run", "runs/skirt"])
    return folder


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(folder)
    return Run.open(Path("runs/skirt"))


def predictions(file: Path) -> np.ndarray:
    lines = [line.split(",") for line in file.read_text().splitlines()]
    return np.array([[float(p) for p in line[2].split(";")] for line in lines])


def test_every_engine_predicts_it(run: Run, tmp_path: Path) -> None:
    found = {}
    for name in ENGINES:
        out = tmp_path / f"{name}.csv"
        options = ["--engine", name, "--crops", 10, "--out", out]
        assert fashionai("predict", "--run", run, *options) == 0
        found[name] = predictions(out)
    assert np.ptp(found["gluon"], axis=0).max() > 0.1
    for name, values in found.items():
        np.testing.assert_allclose(values, found["gluon"], atol=TOLERANCES[name], err_msg=name)


def test_evaluate_and_classify_take_the_engine(
    run: Run, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports = {}
    for name in ("gluon", "torch"):
        file = tmp_path / f"{name}.json"
        options = ["--engine", name, "--json", file]
        assert fashionai("evaluate", "--run", run, *options) == 0
        scores = json.loads(file.read_text())
        reports[name] = {key: scores[key] for key in ("map", "accuracy")}
        image = images_to_predict(folder)[0]
        classified = tmp_path / f"{name}-classes.json"
        options = ["--engine", name, "--json", classified]
        assert fashionai("classify", "--run", run, *options, image) == 0
        assert classified.is_file()
    assert reports["torch"] == pytest.approx(reports["gluon"], abs=1e-6)
    best = max(float(row["val_map"]) for row in csv.DictReader(run.folder.history_file.open()))
    assert reports["gluon"]["map"] == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize("kind", ["onnx", "gluon"])
def test_it_is_exported(run: Run, tmp_path: Path, kind: str) -> None:
    options = ["--format", kind, "--out", tmp_path / kind]
    assert fashionai("export", "--run", run, *options) == 0
    assert any((tmp_path / kind).iterdir())


def test_its_best_weights_load_into_the_stock_network(run: Run, tmp_path: Path) -> None:
    """And MXNet goes on from them in another training."""
    options = [f"model.pretrained={run.weights_file}", "epochs=1", "engine=gluon"]
    folder = tmp_path / "further"
    assert fashionai("train", "--config", "skirt.yaml", "--run", folder, *options) == 0


@pytest.mark.parametrize("network", ["resnet18_v2", "mobilenetv3_small", "squeezenet1.1"])
def test_networks_of_several_tasks(tmp_path: Path, network: str) -> None:
    """With dropout, which does nothing here; with statistics that are not those of the start."""
    run = make_run(tmp_path, network)
    disturb_normalisation(run.folder.best_parameters)
    pixels = np.random.default_rng(1).integers(0, 256, (21, 64, 64, 3), np.uint8)
    expected, found = (
        open_engine(run, devices, name).begin(pixels)()
        for name, devices in (("gluon", [mx.cpu()]), ("torch", [Device("cpu")]))
    )
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert found.shape == (21, 12)
    np.testing.assert_allclose(found[:, :6].sum(axis=1), 1, atol=1e-12)


def test_other_engines_cannot_use_gpus_of_pytorch(run: Run) -> None:
    for name in ("gluon", "fused", "onnx", "int8"):
        with pytest.raises(ConfigError) as error:
            open_engine(run, [Device("gpu", 0)], name)
        assert "gpu(0)" in str(error.value)
        assert "\n" not in str(error.value)


def test_without_pytorch_it_is_left_out(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> None:
        raise InstallationError("PyTorch is not installed", torch_module.INSTALL_HINT)

    monkeypatch.setattr("fashionai.engines.torch_opening.import_torch", missing)
    speeds, complete = engine_choice.measure_engines(run, [mx.cpu()])
    assert (set(speeds), complete) == (set(EXACT_ENGINES) - {"torch"}, True)
    monkeypatch.setattr(torch_module, "has_torch", lambda: False)
    monkeypatch.setattr("fashionai.frameworks.torch.import_torch", missing)
    capsys.readouterr()
    arguments = ["--run", run, "--engine", "torch", "--out", "never.csv"]
    assert fashionai("predict", *arguments) == 2
    assert capsys.readouterr().err == (
        f"Error: PyTorch is not installed. {torch_module.INSTALL_HINT}\n"
    )
    assert fashionai("train", "--config", "skirt.yaml", "--run", "runs/never") == 2
    assert capsys.readouterr().err.startswith("Error: PyTorch is not installed. ")
    assert not Path("runs/never").exists()


def test_an_operator_that_pytorch_cannot_compute_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(import_module("fashionai.models.torch.operators").BUILDERS, "Pooling")
    capsys.readouterr()
    for command in (
        ["predict", "--run", run, "--engine", "torch", "--out", "never.csv"],
        ["train", "--config", "skirt.yaml", "--run", "runs/never"],
    ):
        assert fashionai(*command) == 2
        message = capsys.readouterr().err
        assert message.count("\n") == 1
        assert "Pooling" in message
    assert not Path("runs/never").exists()
