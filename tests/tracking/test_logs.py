"""Logs of trainings for TensorBoard and MLflow: each epoch is there once, however often resumed."""

from __future__ import annotations

import csv
import importlib.util
import json
import math
import os
import signal
import struct
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from mlflow import MlflowClient
from tensorboardX.proto.event_pb2 import Event

from fashionai.config import load_config
from fashionai.errors import RunError, TrainingError
from fashionai.runs import RunFolder, deciding_differences
from fashionai.tracking.mlflow import MlflowLog
from fashionai.tracking.tensorboard import TensorBoardLog
from fashionai.training.interrupt import StopRequest
from fashionai.training.trainer import Trainer
from tests.support.commands import fashionai
from tests.support.trained_runs import write_config

Curves = dict[str, list[tuple[int, float]]]

ROWS = [
    {
        "epoch": epoch,
        "train_loss": 1 / epoch,
        "val_map": value,
        "val_skirt.map": value,
        "seconds": 2,
    }
    for epoch, value in ((1, 0.5), (2, math.nan), (3, 0.75), (4, 0.875))
]
EXPECTED = {
    "train/loss": [(1, 1.0), (2, 0.5), (3, 1 / 3), (4, 0.25)],
    "val/map": [(1, 0.5), (3, 0.75), (4, 0.875)],
    "val/skirt.map": [(1, 0.5), (3, 0.75), (4, 0.875)],
    "seconds": [(1, 2.0), (2, 2.0), (3, 2.0), (4, 2.0)],
}


def events(folder: Path) -> Iterator[Event]:
    """The events in all files of a folder; each has its length, two checksums and its content."""
    for file in sorted(folder.glob("events*")):
        data, at = file.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            yield Event.FromString(data[at + 12 : at + 12 + length])
            at += 16 + length


def tensorboard_curves(folder: Path) -> Curves:
    curves: Curves = defaultdict(list)
    for event in events(folder):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                curves[value.tag].append((event.step, value.simple_value))
    return curves


def mlflow_curves(run: Path) -> Curves:
    content = json.loads((run / "mlflow.json").read_text())
    client = MlflowClient(tracking_uri=content["tracking_uri"])
    data = client.get_run(content["run_id"]).data
    return {
        name: sorted((m.step, m.value) for m in client.get_metric_history(content["run_id"], name))
        for name in data.metrics
    }


def assert_same(found: Curves, expected: Curves) -> None:
    assert found.keys() == expected.keys()
    for name, points in expected.items():
        assert [step for step, _ in found[name]] == [step for step, _ in points]
        assert [v for _, v in found[name]] == pytest.approx([v for _, v in points], rel=1e-6)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose mlflow.db is made once."""
    return tmp_path_factory.mktemp("tracked")


@pytest.mark.parametrize("log", ["tensorboard", "mlflow"])
def test_a_run_that_was_killed_goes_on_with_the_same_curves(
    place: Path, log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    run, config = RunFolder(place / log), load_config("skirt")
    run.path.mkdir()
    opener = {"tensorboard": TensorBoardLog, "mlflow": MlflowLog}[log]
    # Killed after the second epoch; after the third is saved and before it is logged; and after
    # the fourth, in the middle of an event.
    for begun, ended in ((0, 2), (2, 2), (3, 4), (4, 4)):
        observer = opener()
        observer.begin(run, config)
        for count in range(max(begun, 1), ended + 1):
            observer.observe(ROWS[:count])
        for file in run.path.glob("tensorboard/events*"):
            file.write_bytes(file.read_bytes()[: -5 if begun == 3 else None])
    curves = {"tensorboard": lambda run: tensorboard_curves(run / log), "mlflow": mlflow_curves}
    assert_same(curves[log](run.path), EXPECTED)


def test_a_training_writes_its_curves_configuration_and_pictures(
    place: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(prepared)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place / 'mlflow.db'}")
    write_config(prepared, epochs=2)
    command = ["train", "--config", "small.yaml", "--run", "runs/logged"]
    assert fashionai(*command, "log=[tensorboard, mlflow]") == 0, capsys.readouterr().err
    run = Path("runs/logged")
    with open(run / "history.csv", newline="") as handle:
        history = list(csv.DictReader(handle))
    both = tensorboard_curves(run / "tensorboard"), mlflow_curves(run)
    for curves in both:
        assert curves["val/map"] == [
            (int(row["epoch"]), pytest.approx(float(row["val_map"]), rel=1e-6)) for row in history
        ]
        assert "images_per_second" in curves
    values = [value for event in events(run / "tensorboard") for value in event.summary.value]
    text = next(v for v in values if v.tag.startswith("configuration")).tensor.string_val[0]
    assert "name: small_cnn" in text.decode()
    pictures = {
        v.tag: cv2.imdecode(np.frombuffer(v.image.encoded_image_string, np.uint8), 1)
        for v in values
        if v.HasField("image")
    }
    assert pictures.keys() == {"preview", "confusion/skirt"}
    assert all(picture.std() > 10 for picture in pictures.values())
    content = json.loads((run / "mlflow.json").read_text())
    client = MlflowClient(tracking_uri=content["tracking_uri"])
    logged = client.get_run(content["run_id"])
    assert logged.info.status == "FINISHED"
    assert logged.data.params["model.name"] == "small_cnn"
    names = {artifact.path for artifact in client.list_artifacts(content["run_id"])}
    assert names == {"preview.png", "confusion-skirt.png"}


def test_a_training_that_ends_early_says_how_and_is_the_same_mlflow_run_when_resumed(
    place: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prepared)
    address = f"sqlite:///{place / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    write_config(prepared, epochs=1)
    command = ["train", "--run", "runs/interrupted", "--config", "small.yaml"]
    command.append("log=[tensorboard, mlflow]")

    def stopped(self: Trainer, stop: StopRequest) -> None:
        os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C does
        stop.check()

    def failing(self: Trainer, stop: StopRequest) -> None:
        raise TrainingError("the disk is full")

    for epoch, code, status in ((stopped, 130, "KILLED"), (failing, 2, "FAILED")):
        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "_train_epoch", epoch)
            assert fashionai(*command) == code
        if status == "KILLED":
            command.append("--resume")
        assert mlflow_status(Path("runs/interrupted")) == status
    assert fashionai(*command) == 0
    assert mlflow_status(Path("runs/interrupted")) == "FINISHED"
    client = MlflowClient(tracking_uri=address)
    experiment = client.get_experiment_by_name("fashionai")
    names = [run.info.run_name for run in client.search_runs([experiment.experiment_id])]
    assert names.count("interrupted") == 1


def mlflow_status(run: Path) -> str:
    content = json.loads((run / "mlflow.json").read_text())
    client = MlflowClient(tracking_uri=content["tracking_uri"])
    return client.get_run(content["run_id"]).info.status


def test_what_mlflow_does_not_take_is_told_in_the_log_of_the_run(
    place: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody deletes its MLflow run meanwhile."""
    monkeypatch.chdir(prepared)
    address = f"sqlite:///{place / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    write_config(prepared, epochs=1)
    train, run = Trainer._train_epoch, Path("runs/lost")

    def train_without(self: Trainer, stop: StopRequest) -> None:
        content = json.loads((run / "mlflow.json").read_text())
        MlflowClient(tracking_uri=address).delete_run(content["run_id"])
        train(self, stop)

    monkeypatch.setattr(Trainer, "_train_epoch", train_without)
    assert fashionai("train", "--config", "small.yaml", "--run", run, "log=[mlflow]") == 0
    assert "MLflow did not take epoch 1" in (run / "train.log").read_text()


def test_logs_do_not_change_what_a_run_is() -> None:
    config = load_config("skirt")
    assert not deciding_differences(config, config.changed({"log": ["mlflow"]}))
    assert deciding_differences(config, config.changed({"log": ["mlflow"], "seed": 1}))


@pytest.mark.parametrize(
    ("log", "package"), [("tensorboard", "tensorboardX"), ("mlflow", "alembic")]
)
def test_a_missing_package_is_told_before_anything_is_written(
    log: str,
    package: str,
    prepared: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == package else find_spec(name)
    )
    monkeypatch.chdir(prepared)
    write_config(prepared)
    for command in ("train", "cross-validate"):
        run = f"runs/without-{package}"
        assert fashionai(command, "--config", "small.yaml", "--run", run, f"log=[{log}]") == 2
        message = f"log: {log} needs the package {package}, which is not installed. Install it: pip"
        assert message in capsys.readouterr().err
        assert not Path(run).exists()


def test_class_weights_are_one_parameter_whatever_the_classes_are_called(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow takes no sign such as & in the name of a parameter."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place / 'mlflow.db'}")
    run = RunFolder(place / "weighted")
    run.path.mkdir()
    weights = {"Ankle & Floor": 2.0, "<b>x": 3.0, "a//b/": 1.0, "..": 1.0}
    MlflowLog().begin(run, load_config("skirt").changed({"loss.class_weights": weights}))
    content = json.loads((run.path / "mlflow.json").read_text())
    client = MlflowClient(tracking_uri=content["tracking_uri"])
    assert client.get_run(content["run_id"]).data.params["loss.class_weights"] == str(weights)


def test_a_damaged_reference_to_an_mlflow_run_is_told(tmp_path: Path) -> None:
    (tmp_path / "mlflow.json").write_text("{}")
    with pytest.raises(RunError, match=r"mlflow\.json: damaged\. Delete it"):
        MlflowLog().begin(RunFolder(tmp_path), load_config("skirt"))
