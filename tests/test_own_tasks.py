"""A task of one's own from its table to its prediction file, and without its prepared folder."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from fashionai.config import load_config
from fashionai.errors import RunStoppedError
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.predictions.predict import predict_images
from fashionai.runs import Run, RunFolder
from fashionai.tasks import Task
from fashionai.training.trainer import Trainer
from tests.support.commands import fashionai, run_in
from tests.support.data_trees import write_table
from tests.support.resuming import Moment, assert_same_end, stop_in_step

mx = import_mxnet()

CLASSES = ("owl", "robin", "tit")
PREPARED = Path("data/train_valid")
CONFIG = """\
task: birds
model: {name: small_cnn, pretrained: false}
data: {resize_short: 36, crop: 32}
epochs: 3
batch_size: 8
optimizer: {name: sgd, lr: 0.02}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with thirty birds, prepared, and the finished run runs/birds."""
    folder = tmp_path_factory.mktemp("birds")
    write_table(folder / "own", CLASSES, per_class=10)
    (folder / "birds.yaml").write_text(CONFIG)
    options = ["--csv", "own/labels.csv", "--images", "own/images", "--val-fraction", "0.2"]
    prepare = ["prepare", "--task", "birds", *options]
    run_in(folder, prepare, ["train", "--config", "birds.yaml"])
    return folder


@pytest.fixture(autouse=True)
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's folder, made the current one."""
    monkeypatch.chdir(folder)


@pytest.fixture
def without_data() -> Iterator[None]:
    """The prepared folder is away while the test runs."""
    away = PREPARED.with_name("away")
    PREPARED.rename(away)
    yield
    away.rename(PREPARED)


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle))


def labels_of(*splits: str) -> dict[str, str]:
    """The class of every image of the prepared splits by its path in the table."""
    rows = table(PREPARED / "birds/manifest.csv")
    return {row["source"]: row["label"] for row in rows if row["split"] in splits}


def test_a_stopped_run_goes_on_to_the_same_end() -> None:
    run = RunFolder(Path("runs/stopped"))
    run.path.mkdir()
    trainer = Trainer(load_config(Path("birds.yaml")), [mx.cpu()])
    stop_in_step(trainer, Moment(5))
    with pytest.raises(RunStoppedError, match="stopped in epoch 2"):
        trainer.fit(run)
    assert fashionai("train", "--run", run, "--resume") == 0
    assert Run(run).is_finished
    assert_same_end(Path("runs/birds"), run.path)


def test_a_split_is_predicted_as_a_table_and_scored_alike(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert fashionai("predict", "--run", "runs/birds", "--split", "val", "--out", "val.csv") == 0
    header, *lines = Path("val.csv").read_text().splitlines()
    assert header == "path,class,probability,owl,robin,tit"
    assert len(lines) == 6
    labels = labels_of("val")
    predicted = table(Path("val.csv"))
    assert [row["path"] for row in predicted] == list(labels)
    for row in predicted:
        values = [float(row[name]) for name in CLASSES]
        assert math.isclose(sum(values), 1, abs_tol=2e-8)
        assert float(row["probability"]) == max(values)
        assert row["class"] == CLASSES[values.index(max(values))]
    scores = {
        "accuracy": sum(row["class"] == labels[row["path"]] for row in predicted) / 6,
        "log_loss": sum(-math.log(float(row[labels[row["path"]]])) for row in predicted) / 6,
    }
    sources = {
        "run": ["--run", "runs/birds", "--split", "val"],
        "file": ["--predictions", "val.csv", "--labels", PREPARED],
    }
    for name, arguments in sources.items():
        assert fashionai("evaluate", *arguments, "--json", f"{name}.json") == 0
        found = json.loads(Path(f"{name}.json").read_text())["tasks"]["birds"]
        assert {key: found[key] for key in scores} == pytest.approx(scores, abs=1e-6)
    out = capsys.readouterr().out
    assert "birds: runs/birds (validation mAP " in out
    assert "val.csv: 6 rows" in out


def test_it_is_cross_validated(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--folds", "2", "--crops", "1", "epochs=1"]
    assert fashionai("cross-validate", "--config", "birds.yaml", *options) == 0
    assert "cross-validation -> runs/birds-folds" in capsys.readouterr().out
    work = Path("runs/birds-folds")
    folds = table(work / "folds.csv")
    assert {row["task"] for row in folds} == {"birds"}
    labels = labels_of("train", "val")
    counts = Counter((labels[row["file"]], row["fold"]) for row in folds)
    assert counts == {(name, fold): 5 for name in CLASSES for fold in "12"}
    predicted = table(work / "out_of_fold.csv")
    assert list(predicted[0]) == ["path", "class", "probability", *CLASSES]
    assert Counter(row["path"] for row in predicted) == Counter(list(labels))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("brids", "Did you mean 'birds'?"),
        (
            "xyzzy",
            "Choose from: birds, skirt, coat, collar, lapel, neck, neckline, pant, sleeve, "
            "fashion-mnist, logos, cactus, covers. For your own images: "
            "fashionai prepare --task xyzzy --csv FILE",
        ),
    ],
)
def test_an_unknown_task_names_prepared_ones(
    name: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fashionai("train", "--config", "birds.yaml", f"task={name}") == 2
    assert capsys.readouterr().err == (
        f"Error: birds.yaml: 1 error in the configuration\n  task: unknown task '{name}'. {hint}\n"
    )
    assert not Path(f"runs/{name}").exists()


def test_the_config_of_a_run_is_printed_from_anywhere(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    config = folder / "runs/birds/config.yaml"
    assert fashionai("config", config) == 0
    assert capsys.readouterr().out == config.read_text()


def test_a_run_knows_its_task_without_the_folder(without_data: None) -> None:
    run = Run.open(Path("runs/birds"))
    assert run.tasks == (Task("birds", (), CLASSES, "table"),)
    assert run.config.task_names == ["birds"]
    assert fashionai("train", "--run", run, "--resume") == 0  # already finished
    image = Path("own/images/0001.jpg")
    ((task, probabilities),) = predict_images([image], [run], [mx.cpu()]).items()
    assert task.classes == CLASSES
    assert probabilities.shape == (1, 3)


@pytest.mark.parametrize(
    "command",
    [
        ["predict", "--run", "runs/birds", "--split", "val", "--out", "none.csv"],
        ["evaluate", "--run", "runs/birds", "--split", "val"],
    ],
)
def test_without_the_folder_its_splits_are_refused(
    without_data: None, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert fashionai(*command) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "Error: data/train_valid/birds: not a prepared folder (no manifest.csv). "
        "Run: fashionai prepare --task birds --csv FILE; or give --folders DIR instead of --csv"
    )
    assert not Path("none.csv").exists()


def test_without_the_folder_the_error_of_folds_names_what_is_missing(
    without_data: None, capsys: pytest.CaptureFixture[str]
) -> None:
    work = Path("runs/began")
    (work / "fold-1").mkdir(parents=True)
    # As they are left in the first fold.
    (work / "config.base.yaml").write_text(CONFIG)
    (work / "cross_validation.yaml").write_text("folds: 2\ncrops: 1\n")
    described = Path("runs/birds/classes.json").read_text()
    (work / "fold-1/config.yaml").write_text(CONFIG)
    (work / "fold-1/classes.json").write_text(described)
    assert fashionai("cross-validate", "--run", work, "--resume") == 2
    error = capsys.readouterr().err
    assert error == "Error: data/train_valid/birds/manifest.csv: No such file or directory\n"
