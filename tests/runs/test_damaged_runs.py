"""The weights of a run are those that it recorded, whatever happened to its files since."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from fashionai.errors import RunError
from fashionai.runs import Run, RunFolder
from fashionai.runs.recorded_weights import COMING_HASHES, WEIGHTS_HASHES
from fashionai.training.records.history import announce_weights, write_history
from tests.support.commands import fashionai
from tests.support.trained_runs import images_to_predict


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Run:
    """A copy of a trained run."""
    return Run.open(shutil.copytree(trained / "runs/skirt", tmp_path / "skirt"))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def zero_a_block(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 64] = bytes(64)
    path.write_bytes(data)


def change_metrics(run: Run, **changes: object) -> None:
    metrics = json.loads(run.folder.metrics_file.read_text())
    run.folder.metrics_file.write_text(json.dumps({**metrics, **changes}))


def test_the_hash_is_recorded_and_checked(run: Run) -> None:
    recorded = run.metrics[WEIGHTS_HASHES]
    assert recorded == {"best.params": sha256(run.folder.best_parameters)}
    assert COMING_HASHES not in run.metrics
    assert run.check_weights() == recorded["best.params"]
    zero_a_block(run.folder.best_parameters)
    with pytest.raises(RunError, match=r"best\.params: the SHA-256 differs .*is damaged"):
        run.check_weights()


@pytest.mark.parametrize(
    "command",
    [
        "classify --run {run} {image}",
        "classify --engine int8 --run {run} {image}",
        "evaluate --run {run}",
        "quantize --run {run}",
        "export --run {run} --format gluon --out {run}/exported",
        "weights import {run}/best.params --model mobilenet0.25",
        "find-lr --config skirt.yaml model.pretrained={run}/best.params --out {run}/plots",
    ],
)
def test_damaged_weights_are_refused(
    command: str,
    run: Run,
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(trained)
    monkeypatch.setenv("FASHIONAI_HOME", str(run.path / "home"))
    (run.path / "int8.json").write_text("{}")
    zero_a_block(run.folder.best_parameters)
    image = images_to_predict(trained)[0]
    assert fashionai(*command.format(run=run, image=image).split()) == 2
    assert "best.params: the SHA-256 differs" in capsys.readouterr().err


def test_a_run_without_a_hash_opens(run: Run) -> None:
    metrics = json.loads(run.folder.metrics_file.read_text())
    del metrics[WEIGHTS_HASHES]
    run.folder.metrics_file.write_text(json.dumps(metrics))
    zero_a_block(run.folder.best_parameters)
    Run.open(run.path).check_weights()


def test_a_training_may_replace_the_weights_meanwhile(run: Run) -> None:
    _ = run.metrics
    zero_a_block(run.folder.best_parameters)
    change_metrics(run, **{WEIGHTS_HASHES: {"best.params": sha256(run.folder.best_parameters)}})
    assert run.check_weights() == sha256(run.folder.best_parameters)


def test_weights_are_sound_after_a_kill_at_any_moment(run: Run, tmp_path: Path) -> None:
    """Before and after the file is replaced, and after the run is resumed."""
    folder, old = run.folder, sha256(run.folder.best_parameters)
    coming = tmp_path / "coming"
    shutil.copy(folder.last_parameters, coming)
    zero_a_block(coming)
    announce_weights(folder, "best.params", coming)
    assert Run.open(run.path).check_weights() == old
    rewrite_history(folder)
    assert Run.open(run.path).metrics[WEIGHTS_HASHES] == {"best.params": old}

    announce_weights(folder, "best.params", coming)
    shutil.copy(coming, folder.best_parameters)
    assert Run.open(run.path).check_weights() == sha256(coming)
    rewrite_history(folder)
    assert Run.open(run.path).metrics[WEIGHTS_HASHES] == {"best.params": sha256(coming)}
    assert COMING_HASHES not in Run.open(run.path).metrics


def test_damage_does_not_become_the_recorded_hash(run: Run) -> None:
    zero_a_block(run.folder.best_parameters)
    rewrite_history(run.folder)
    with pytest.raises(RunError, match="damaged"):
        Run.open(run.path).check_weights()


def rewrite_history(folder: RunFolder) -> None:
    """Write metrics.json anew, as after an epoch and when a run is resumed."""
    lines = [line.split(",") for line in folder.history_file.read_text().splitlines()]
    rows = [dict(zip(lines[0], map(float, line))) for line in lines[1:]]
    run = Run(folder)
    write_history(folder, run.config, list(run.tasks), rows, run.metrics["data_hash"])
