"""The loop: what it refuses, what it leaves behind, several devices."""

from __future__ import annotations

import csv
import fcntl
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from fashionai.config import load_config
from fashionai.errors import FashionAIError, RunError
from fashionai.files.locks import LOCK_FILE
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.networks.options import NetworkOptions, of_classes
from fashionai.models.networks.registry import NETWORKS
from fashionai.pipeline.augment import TrainingTransform
from fashionai.pipeline.loader import Loader, shuffled_indices
from fashionai.runs import Run, RunFolder, create_run
from fashionai.training.interrupt import Stopped, StopRequest
from fashionai.training.trainer import Trainer
from tests.support.commands import fashionai, files_of_at_most, run_cli, run_here
from tests.support.resuming import parameters
from tests.support.trained_runs import write_config

mx = import_mxnet()
nn = mx.gluon.nn


def plain_cnn(classes: int):
    """A network without batch normalisation or dropout."""
    network = nn.HybridSequential()
    network.add(nn.Conv2D(8, 3, strides=2, activation="relu"), nn.Flatten(), nn.Dense(classes))
    return network


def test_a_run_holds_everything_and_learns(prepared: Path) -> None:
    config = write_config(prepared, epochs=8)
    done = run_cli("train", "--config", config, "--run", "runs/whole", cwd=prepared)
    assert done.returncode == 0, done.stderr
    run = prepared / "runs/whole"
    files = sorted(path.name for path in run.iterdir())
    assert files == [
        *("best.params", "classes.json", "config.yaml", "history.csv", "last.params"),
        *("last.states.npz", "metrics.json", "train.log"),
    ]
    with open(run / "history.csv") as handle:
        rows = list(csv.DictReader(handle))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 9))
    metrics = json.loads((run / "metrics.json").read_text())
    scores = [float(row["val_map"]) for row in rows]
    assert metrics["best"]["map"] == max(scores)
    losses = [float(row["val_log_loss"]) for row in rows]
    best = min(range(8), key=lambda row: (-scores[row], losses[row]))
    assert metrics["best_epoch"] == 1 + best
    assert max(scores) > 0.9
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    assert json.loads((run / "classes.json").read_text())["tasks"][0]["classes"][5] == "Floor"
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    (estimate,) = (line for line in lines if line.startswith("about "))
    assert re.fullmatch(
        r"about .* for 8 epochs: [\d.]+ images/s on cpu\(0\), [\d.]+ GB of memory", estimate
    )


def test_best_parameters_are_those_of_the_best_epoch(prepared: Path) -> None:
    """Training the best epoch's number of epochs at a constant rate ends with best.params."""
    config = write_config(prepared, epochs=5)
    overrides = ["schedule.name=constant"]
    done = run_here("train", "--config", config, "--run", "runs/long", *overrides, cwd=prepared)
    assert done.returncode == 0, done.stderr
    best = json.loads((prepared / "runs/long/metrics.json").read_text())["best_epoch"]
    short = ["--run", "runs/short", *overrides, f"epochs={best}"]
    assert run_here("train", "--config", config, *short, cwd=prepared).returncode == 0
    expected = parameters(prepared / "runs/short/last.params")
    actual = parameters(prepared / "runs/long/best.params")
    assert all(np.array_equal(actual[name], expected[name]) for name in expected)


def test_two_devices_give_the_parameters_of_one(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prepared)
    monkeypatch.setitem(NETWORKS, "plain_cnn", of_classes(plain_cnn))
    config = write_config(prepared, network="plain_cnn", epochs=2, lr=0.01)
    ends = []
    for contexts, batch_size in (([mx.cpu()], 16), ([mx.cpu(0), mx.cpu(1)], 8)):
        run = create_run(prepared / "runs" / f"devices-{len(contexts)}")
        Trainer(load_config(config, [f"batch_size={batch_size}"]), contexts).fit(run)
        ends.append(parameters(run.last_parameters))
    for name, values in ends[0].items():
        np.testing.assert_allclose(ends[1][name], values, rtol=1e-4, atol=1e-6)


def test_two_devices_with_batch_normalisation_resume_exactly(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prepared)
    contexts = [mx.cpu(0), mx.cpu(1)]
    config = load_config(write_config(prepared, epochs=2, batch_size=4))
    whole = create_run(prepared / "runs" / "two-whole")
    Trainer(config, contexts).fit(whole)

    stop = StopRequest()
    trainer = Trainer(config, contexts)
    trainer.run = create_run(prepared / "runs" / "two-stopped")
    tick = trainer.clock.tick

    def tick_and_stop(images: int) -> None:
        tick(images)
        stop.requested = trainer.progress.step >= 5

    monkeypatch.setattr(trainer.clock, "tick", tick_and_stop)
    with pytest.raises(Stopped):
        trainer._train_epoch(stop)
    with pytest.raises(FashionAIError, match="stopped in epoch 1 after step"):
        trainer._stop()
    run = trainer.run
    Trainer(config, contexts, Run(run)).fit(run)
    expected = parameters(whole.last_parameters)
    actual = parameters(run.last_parameters)
    assert all(np.array_equal(actual[name], expected[name]) for name in expected)


def test_a_loss_that_is_not_finite_stops_with_its_step(prepared: Path) -> None:
    config = write_config(prepared, lr=1e8)
    done = run_here("train", "--config", config, "--run", "runs/diverged", cwd=prepared)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "Error: the loss is " in done.stderr
    assert " at epoch 1, step " in done.stderr
    assert "smaller optimizer.lr than 1e+08" in done.stderr
    assert Run(RunFolder(prepared / "runs/diverged")).has_diverged


def test_a_run_is_never_overwritten_by_default(prepared: Path) -> None:
    config = write_config(prepared, epochs=1)
    for expected in ("runs/twice", "runs/twice-2", "runs/twice-3"):
        done = run_here("train", "--config", config, "--run", "runs/twice", cwd=prepared)
        assert done.returncode == 0, done.stderr
        assert f"steps per epoch -> {expected}\n" in done.stdout
        assert ("runs/twice exists" in done.stdout) == (expected != "runs/twice")
    before = (prepared / "runs/twice-2/best.params").read_bytes()
    arguments = ["--run", "runs/twice-2", "--overwrite", "seed=9"]
    assert run_here("train", "--config", config, *arguments, cwd=prepared).returncode == 0
    assert (prepared / "runs/twice-2/best.params").read_bytes() != before
    foreign = prepared / "runs/foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    arguments = ["--run", "runs/foreign", "--overwrite"]
    done = run_here("train", "--config", config, *arguments, cwd=prepared)
    assert done.returncode == 2
    assert "not a run" in done.stderr
    assert (foreign / "thesis.txt").read_text() == "mine"


def test_resume_refuses_another_configuration_and_reports_a_finished_run(prepared: Path) -> None:
    config = write_config(prepared, epochs=1)
    arguments = ["train", "--config", config, "--run", "runs/done", "--resume"]
    first = run_here(*arguments, cwd=prepared)
    assert first.returncode == 0, first.stderr
    again = run_here(*arguments, cwd=prepared)
    assert again.returncode == 0
    assert "already finished" in again.stdout
    metrics = prepared / "runs/done/metrics.json"
    metrics.write_text(metrics.read_text().replace("true", "false"))
    other = run_here(*arguments, "optimizer.lr=0.5", cwd=prepared)
    assert other.returncode == 2
    assert "begun with another configuration (optimizer.lr: 0.05, not 0.5)" in other.stderr


def test_rows_that_are_carried_over_look_as_in_their_own_epoch(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The views of three epochs, shown in batches of 10, are those of each epoch by itself."""
    monkeypatch.chdir(prepared)
    config = load_config(write_config(prepared, batch_size=10))
    learner = Trainer(config, [mx.cpu()]).learner
    batches = [list(learner.batches(epoch)) for epoch in range(3)]
    assert [len(each) for each in batches] == [8, 8, 9]
    assert {batch.images.shape[0] for each in batches for batch in each} == {10}
    shown = np.concatenate([batch.images for each in batches for batch in each])
    loader = Loader(learner.train.paths, TrainingTransform(config.data), 84, seed=config.seed)
    expected = [
        batch.images
        for epoch in range(3)
        for batch in loader.batches(shuffled_indices(84, config.seed, epoch), epoch)
    ]
    np.testing.assert_array_equal(shown, np.concatenate(expected)[: len(shown)])


def test_resume_refuses_other_data_and_other_devices(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step of other data or of another batch size is another step."""
    shutil.copytree(prepared / "data", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    config = load_config(write_config(tmp_path, epochs=1, batch_size=8))
    run = create_run(tmp_path / "run")
    Trainer(config, [mx.cpu()]).fit(run)
    with pytest.raises(FashionAIError, match="begun on 1 cpu, resumed on 2 cpu"):
        Trainer(config, [mx.cpu(0), mx.cpu(1)], Run(run)).fit(run)
    assert run_here("prepare", "--task", "skirt", "--seed", "1", cwd=tmp_path).returncode == 0
    with pytest.raises(FashionAIError, match="the prepared folder has changed"):
        Trainer(config, [mx.cpu()], Run(run)).fit(run)


def test_a_run_is_trained_by_one_process_at_a_time(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prepared)
    run = create_run(prepared / "runs" / "locked")
    with open(run.path / LOCK_FILE, "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        trainer = Trainer(load_config(write_config(prepared, epochs=1)), [mx.cpu()])
        with pytest.raises(FashionAIError, match="is being trained by another process"):
            trainer.fit(run)
    assert [path.name for path in run.path.iterdir()] == [LOCK_FILE]


def test_resuming_does_not_need_the_pretrained_weights(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prepared)
    weights = prepared / "given.params"
    network = NETWORKS["small_cnn"](NetworkOptions(1000))
    network.initialize()
    network(mx.nd.zeros((1, 3, 32, 32)))
    network.save_parameters(str(weights))
    config = load_config(write_config(prepared, epochs=1), [f"model.pretrained={weights}"])
    run = create_run(prepared / "runs" / "given")
    Trainer(config, [mx.cpu()]).fit(run)
    weights.unlink()
    Trainer(config, [mx.cpu()], resume_from=Run(run)).fit(run)


def test_a_run_is_resumed_in_its_folder_and_with_its_configuration_alone(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prepared)
    config = load_config(write_config(prepared, epochs=2))
    run = create_run(prepared / "runs" / "first")
    Trainer(config.changed({"epochs": 1}), [mx.cpu()]).fit(run)
    with pytest.raises(RunError, match=r"begun with another configuration \(epochs: 1, not 2\)"):
        Trainer(config, [mx.cpu()], resume_from=Run(run))
    trainer = Trainer(config.changed({"epochs": 1}), [mx.cpu()], resume_from=Run(run))
    other = create_run(prepared / "runs" / "second")
    with pytest.raises(RunError, match=r"second: is not the run to resume, which is .*first\."):
        trainer.fit(other)
    assert [file.name for file in other.path.iterdir() if file.name != ".lock"] == []


@pytest.mark.parametrize("file", ["best.params", "last.states.npz"])
def test_a_full_disk_is_one_line_and_the_run_can_go_on(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    monkeypatch.chdir(prepared)
    words = "train", "--config", write_config(prepared, epochs=1), "--run"
    assert fashionai(*words, "runs/roomy", "--overwrite") == 0
    run = f"runs/full-{file.split('.')[0]}"
    # The state's own size differs from run to run by the digits of its times.
    room = (prepared / "runs/roomy/best.params").stat().st_size - (file == "best.params")
    with files_of_at_most(room):
        capsys.readouterr()
        assert fashionai(*words, run) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"Error: {run}/{file}: ")
    assert error.endswith(f". Free disk space, then: fashionai train --run {run} --resume\n")
    assert error.count("\n") == 1
    assert fashionai("train", "--run", run, "--resume") == 0
    ours, whole = (parameters(prepared / folder / "best.params") for folder in (run, "runs/roomy"))
    assert all(np.array_equal(ours[name], whole[name]) for name in whole)
