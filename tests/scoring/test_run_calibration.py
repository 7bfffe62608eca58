"""Calibrations of runs: how they are fitted, kept, used, and refused."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from fashionai.datasets.prepared.samples import read_samples
from fashionai.errors import DataError, RunError
from fashionai.files.formats.array_lists import read_array_list
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.metrics import NO, true_classes
from fashionai.predictions.formats import read_predictions
from fashionai.predictions.scaling import Calibration, Scaling, read_calibration
from fashionai.quantization import quantize
from fashionai.runs import Run, RunFolder, locked_run
from fashionai.scoring.probabilities.calibrated import RunCalibration
from fashionai.scoring.probabilities.calibration import expected_calibration_error
from fashionai.scoring.probabilities.run_calibration import calibrate
from fashionai.scoring.rows.labelled_predictions import LabelledPredictions
from fashionai.scoring.splits import predict_samples
from tests.support.commands import fashionai
from tests.support.trained_runs import replace_weights

mx = import_mxnet()

TASK = "skirt_length_labels"


@pytest.fixture(scope="module")
def folder(trained_cnn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with a run whose output layer is off, so that it makes mistakes."""
    work = tmp_path_factory.mktemp("calibrated")
    shutil.copytree(trained_cnn.parents[1] / "data", work / "data")
    run = shutil.copytree(trained_cnn, work / "runs/skirt")
    weights = read_array_list(run / "best.params")
    rng = np.random.default_rng(0)
    for name, values in weights.items():
        if name.startswith("output"):
            weights[name] = values + 0.3 * rng.normal(size=values.shape).astype(np.float32)
    replace_weights(run, {name: mx.nd.array(values) for name, values in weights.items()})
    return work


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """A copy of that run, not calibrated, in its current folder."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Run.open("runs/skirt")


def fitted(run: Run, **options: object) -> Scaling:
    _, (fit,) = calibrate(run, [mx.cpu()], crops=1, engine="gluon", **options)
    return fit.scaling


def test_a_run_gets_the_temperature_of_its_validation_split(run: Run) -> None:
    scaling = fitted(run)
    samples = read_samples(run.config, "val")
    (predicted,) = predict_samples(samples, run, [mx.cpu()], crops=1, engine="gluon")
    labels = true_classes(samples.marks)
    assert (predicted.argmax(axis=1) != labels).any()

    def loss(temperature: float) -> float:
        powers = predicted ** (1 / temperature)
        return -np.log((powers / powers.sum(axis=1, keepdims=True))[range(12), labels]).mean()

    found = scaling.temperature
    assert found is not None
    assert loss(found) < min(loss(found * 0.99), loss(found * 1.01))
    kept = read_calibration(run, crops=1)
    assert kept.scalings[TASK].temperature == found
    assert (kept.crops, kept.image_size, kept.splits) == (1, 32, ["val"])


def test_predict_and_evaluate_use_it(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    temperature = fitted(run).temperature
    common = ["--run", "runs/skirt", "--crops", 1, "--engine", "gluon"]
    places = {name: Path(f"{name}.csv") for name in ("plain", "calibrated")}
    assert fashionai("predict", *common, "--split", "val", "--out", places["plain"]) == 0
    assert fashionai("predict", *common, "--split", "val", "--out", places["calibrated"],
                     "--calibrated") == 0  # fmt: skip
    plain, scaled = (
        np.array([row.probabilities for row in read_predictions(place)])
        for place in places.values()
    )
    powers = plain ** (1 / temperature)
    assert scaled == pytest.approx(powers / powers.sum(axis=1, keepdims=True), abs=1e-6)
    capsys.readouterr()
    assert fashionai("evaluate", *common, "--calibrated", "--json", "scores.json") == 0
    printed = capsys.readouterr()
    assert "its calibration was fitted on the images of this split" in printed.err
    scores = json.loads(Path("scores.json").read_text())["tasks"][TASK]
    before, after = (scores["calibration"][stage] for stage in ("before", "after"))
    labels = true_classes(read_samples(run.config, "val").marks)
    errors = [expected_calibration_error(each, labels) for each in (plain, scaled)]
    assert [each["calibration_error"] for each in (before, after)] == errors
    assert scores["calibration_error"] == errors[1]
    assert scores["log_loss"] == after["log_loss"] < before["log_loss"]
    for figures in (before, after):
        line = (
            f"{figures['calibration_error']:10.4f}{figures['log_loss']:10.4f}{figures['map']:9.4f}"
        )
        assert line in printed.out
    assert fashionai("evaluate", "--predictions", "plain.csv", "--labels", "data/train_valid") == 0
    assert "calibration             error  log loss" in capsys.readouterr().out


def test_scores_of_labels_warn_of_the_images_it_was_fitted_on(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    fitted(run)
    labels = ["--labels", f"data/train_valid/{TASK}", "--split"]
    common = ["--run", "runs/skirt", "--crops", 1, "--engine", "gluon"]
    assert fashionai("evaluate", *common, *labels, "val") == 0
    assert "its calibration was fitted on 12 of these 12 images" in capsys.readouterr().err
    assert fashionai("evaluate", *common, *labels, "train") == 0
    assert "its calibration was fitted on" not in capsys.readouterr().err
    shutil.copytree(f"data/train_valid/{TASK}", "copied")
    assert fashionai("evaluate", *common, "--labels", "copied", "--split", "val") == 0
    assert "its calibration was fitted on 12 of these 12 images" in capsys.readouterr().err


def test_it_is_stale_after_the_weights_have_changed(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    fitted(run)
    content = run.folder.calibration_file.read_bytes()
    weights = read_array_list(run.folder.best_parameters)
    replace_weights(run.path, {name: mx.nd.array(2 * each) for name, each in weights.items()})
    changed = Run.open(run.path)
    with pytest.raises(RunError, match=r"other weights.*Run: fashionai calibrate runs/skirt$"):
        read_calibration(changed)
    common = ["--run", "runs/skirt", "--crops", 1]
    command = "Run: fashionai calibrate runs/skirt --crops 1"
    assert fashionai("predict", *common, "--split", "val", "--out", "a.csv", "--calibrated") == 2
    assert command in capsys.readouterr().err
    assert fashionai("evaluate", *common, "--calibrated") == 2
    assert command in capsys.readouterr().err
    # Without --calibrated, scores are told as before, and why the others are missing.
    assert fashionai("evaluate", *common) == 0
    assert "calibrated figures are left out: runs/skirt: calibrated for other weights" in (
        capsys.readouterr().err
    )
    for labels in ([], ["--labels", f"data/train_valid/{TASK}", "--split", "val"]):
        assert fashionai("evaluate", *common, *labels, "--threshold", 0.3) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"--threshold: {TASK} learns 6 classes" in line
    assert run.folder.calibration_file.read_bytes() == content


def test_it_is_refused_for_other_crops_and_when_it_is_damaged(run: Run) -> None:
    with pytest.raises(RunError, match=r"not calibrated yet\. Run: fashionai calibrate runs/skirt"):
        read_calibration(run)
    fitted(run)
    with pytest.raises(RunError, match=r"for 1 crop of 32 pixels, not for 10 of 32"):
        read_calibration(run)
    with pytest.raises(RunError, match=r"not for 1 of 40\. Run: .*--crops 1 --image-size 40"):
        read_calibration(run.at_crop(40), crops=1)
    file = run.folder.calibration_file
    for text in ("", "[]", '{"weights_sha256": 1}', file.read_text().replace(TASK, "coat")):
        file.write_text(text)
        with pytest.raises(RunError, match="calibrate"):
            read_calibration(run, crops=1)


def test_nothing_is_written_when_the_weights_change_meanwhile(run: Run) -> None:
    other = {n: mx.nd.array(2 * v) for n, v in read_array_list(run.folder.best_parameters).items()}

    def change(done: int) -> None:
        if not (run.path / "changed").exists():
            (run.path / "changed").touch()
            replace_weights(run.path, other)

    class Bar:
        def __init__(self, description: str, total: int) -> None:
            pass

        def __enter__(self) -> object:
            return change

        def __exit__(self, *_: object) -> None:
            pass

    with pytest.raises(RunError, match=r"changed during calibration|was replaced"):
        fitted(run, progress=Bar)
    assert not run.folder.calibration_file.exists()


def test_a_run_that_is_being_trained_is_refused_before_anything_is_computed(run: Run) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("images were predicted")

    with locked_run(run.folder):
        for compute in (partial(fitted, run, progress=refuse), partial(quantize, run)):
            with pytest.raises(RunError, match="is being trained by another process"):
                compute()


def test_a_vector_needs_images_of_every_class(run: Run) -> None:
    assert fitted(run, vector=True).temperature is None
    shutil.rmtree(next(Path(f"data/train_valid/{TASK}/val").glob("*Midi")))
    content = run.folder.calibration_file.read_bytes()
    manifest = Path(f"data/train_valid/{TASK}/manifest.csv")
    rows = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(r for r in rows if not (r.startswith("val,") and ",Midi," in r)))
    with pytest.raises(DataError, match=f"{TASK} has no image of Midi"):
        fitted(run, vector=True)
    assert run.folder.calibration_file.read_bytes() == content


def test_a_run_without_mistakes_stays_as_it_is(
    trained_cnn: Path, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(trained_cnn, "runs/sound")
    sound = Run(RunFolder("runs/sound"))
    assert fitted(sound).temperature == 1
    assert "all 12 images are predicted correctly" in caplog.text


def test_images_of_a_held_out_background_do_not_count(run: Run) -> None:
    """They have no true class: neither figures nor the choice of rows may see one."""
    task, rng = run.tasks[0], np.random.default_rng(0)
    classes = len(task.classes)
    probabilities = rng.dirichlet(np.ones(classes), 30)
    marks = np.eye(classes, dtype=np.int8)[rng.integers(classes, size=30)] * 2
    scaling = Scaling.of_temperature(2, classes)
    about = Calibration("validation split", ["val"], 1, 32, {task.name: scaling})
    calibration = RunCalibration(run, about, is_used=False)
    names = [""] * 35
    alone = calibration.evaluate(
        LabelledPredictions(task, names[:30], names[:30], marks, probabilities)
    )
    marks = np.concatenate([marks, np.full((5, classes), NO, np.int8)])
    beside = np.concatenate([probabilities, np.full((5, classes), 1 / classes)])
    assert len(alone.before_and_after) == 2
    both = calibration.evaluate(LabelledPredictions(task, names, names, marks, beside))
    assert both.before_and_after == alone.before_and_after
