"""A run that was stopped at any moment and resumed ends like one that was not, bit for bit."""

from __future__ import annotations

import functools
import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fashionai.config import load_config
from fashionai.errors import RunStoppedError
from fashionai.frameworks.devices import Device
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.runs import Run, RunFolder, create_run
from fashionai.training import trainer as trainer_module
from fashionai.training.records.checkpoint import save_state
from fashionai.training.trainer import Trainer
from tests.support.commands import run_cli, run_here
from tests.support.installed import needs_torch
from tests.support.pausing import go_on, start_until
from tests.support.resuming import (
    Moment,
    assert_same_end,
    stop_in_step,
    stop_in_validation,
)
from tests.support.trained_runs import write_config

mx = import_mxnet()


DEVICES = {"gluon": [mx.cpu()], "torch": [Device("cpu")]}

EVERYTHING = """\
task: [skirt, pant]
engine: {engine}
model: {{name: small_cnn, pretrained: false}}
data: {{resize_short: 36, crop: 32}}
epochs: 4
batch_size: 8
seed: 3
optimizer: {{name: {optimizer}, lr: {lr}, weight_decay: 0.01}}
schedule: {{name: one_cycle, pct_start: 0.4, warmup_epochs: 0.5}}
loss: {{label_smoothing: 0.1, mixup: 0.4, cutmix: 1.0}}
ema: 0.9
"""


@pytest.fixture(scope="module")
def two_tasks(prepared_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with skirts and pants prepared: 84 training and 12 validation images."""
    return shutil.copytree(prepared_pair, tmp_path_factory.mktemp("two-tasks") / "pair")


@pytest.fixture(
    scope="module",
    params=["gluon-sgd", "gluon-adamw", pytest.param("torch-adamw", marks=needs_torch)],
)
def uninterrupted(two_tasks: Path, request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """The run to compare with, in which everything changes from step to step, and its config."""
    engine, optimizer = request.param.split("-")
    config = two_tasks / f"{request.param}.yaml"
    lr = 0.05 if optimizer == "sgd" else 0.002
    config.write_text(EVERYTHING.format(engine=engine, optimizer=optimizer, lr=lr))
    run = f"runs/whole-{request.param}"
    done = run_here("train", "--config", config, "--run", run, cwd=two_tasks)
    assert done.returncode == 0, done.stderr
    assert (two_tasks / run / "best_ema.params").is_file()
    return two_tasks / run, config


def test_killed_twice_and_resumed(two_tasks: Path, uninterrupted: tuple[Path, Path]) -> None:
    whole, config = uninterrupted
    run = whole.with_name(f"{whole.name}-killed")
    begin = ["--config", str(config), "--run", str(run)]
    resume = ["--run", str(run), "--resume"]
    for arguments, epochs in ((begin, 1), (resume, 2)):
        process = start_until(
            run / "history.csv", "train", *arguments, cwd=two_tasks, lines=1 + epochs
        )
        process.kill()
        process.communicate()
        assert not Run(RunFolder(run)).is_finished
    done = run_cli("train", *resume, cwd=two_tasks)
    assert done.returncode == 0, done.stderr
    assert "resuming in epoch" in done.stdout
    assert_same_end(whole, run)


def test_files_behind_the_state_are_mended(
    two_tasks: Path, uninterrupted: tuple[Path, Path]
) -> None:
    """A kill between the rename of the state and those that follow from it loses nothing."""
    whole, _ = uninterrupted
    run = whole.with_name(f"{whole.name}-behind")
    shutil.copytree(whole, run)
    (run / "last.params").write_bytes(b"old")
    (run / "history.csv").write_text("old")
    metrics = json.loads((run / "metrics.json").read_text())
    (run / "metrics.json").write_text(json.dumps({**metrics, "finished": False}))
    done = run_here("train", "--run", run, "--resume", cwd=two_tasks)
    assert done.returncode == 0, done.stderr
    assert_same_end(whole, run)


# How often to pass by after the stop before, and where that is: epochs have 10, 11, 10 and 11
# steps, and the even ones begin with the four rows that their predecessors have left.
MOMENTS = [
    (stop_in_step, 1, "epoch 1 after step 1"),
    (stop_in_validation, 2, "epoch 1 after step 10"),
    (stop_in_validation, 4, "epoch 1 after step 10"),
    (stop_in_step, 1, "epoch 2 after step 1"),
    (stop_in_step, 4, "epoch 2 after step 5"),
    (stop_in_step, 6 + 10, "epoch 3 after step 10"),
]


def test_stopped_in_steps_and_validations_and_resumed(
    two_tasks: Path, uninterrupted: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the network holds at that moment, the state has the plain weights."""
    whole, file = uninterrupted
    monkeypatch.chdir(two_tasks)
    config = load_config(file)
    devices = DEVICES[config.engine]
    run = create_run(whole.with_name(f"{whole.name}-stopped"))
    for arrange, number, place in MOMENTS:
        trainer = Trainer(config, devices, Run(run))
        arrange(trainer, Moment(number))
        with pytest.raises(RunStoppedError, match=f"stopped in {place},"):
            trainer.fit(run)
        with np.load(run.states_file) as state:
            for name, values in trainer.learner.parameters().items():
                saved = state[f"parameters/{name}/0"]
                assert np.array_equal(saved, values)
                if name == "output.weight":
                    assert not np.array_equal(saved, state[f"average/{name}"])
    Trainer(config, devices, Run(run)).fit(run)
    assert_same_end(whole, run.path)


class Killed(BaseException):
    """What no handler of errors catches."""


def test_killed_between_the_best_weights_and_the_state_that_knows_of_them(
    two_tasks: Path, uninterrupted: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, file = uninterrupted
    monkeypatch.chdir(two_tasks)
    config = load_config(file)
    run = create_run(whole.with_name(f"{whole.name}-between"))

    def save_once(path: Path, learner: Any, progress: Any) -> None:
        if run.states_file.exists():
            raise Killed
        save_state(path, learner, progress)

    with monkeypatch.context() as patch:
        patch.setattr(trainer_module, "save_state", save_once)
        trainer = Trainer(config, DEVICES[config.engine])
        with pytest.raises(Killed):
            trainer.fit(run)
    Trainer(config, DEVICES[config.engine], Run(run)).fit(run)
    assert_same_end(whole, run.path)


def test_several_devices_resume_exactly(two_tasks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With averages of the first device's statistics, and a mixing on each."""
    monkeypatch.chdir(two_tasks)
    file = two_tasks / "devices.yaml"
    file.write_text(EVERYTHING.format(engine="gluon", optimizer="nag", lr=0.02))
    config = load_config(file, ["epochs=2", "batch_size=4"])
    contexts = [mx.cpu(0), mx.cpu(1)]
    whole, run = (create_run(two_tasks / f"runs/devices-{name}") for name in ("whole", "stopped"))
    Trainer(config, contexts).fit(whole)
    for arrange, number in ((stop_in_step, 5), (stop_in_validation, 4)):
        trainer = Trainer(config, contexts, Run(run))
        arrange(trainer, Moment(number))
        with pytest.raises(RunStoppedError):
            trainer.fit(run)
    Trainer(config, contexts, Run(run)).fit(run)
    assert_same_end(whole.path, run.path)


# PyTorch takes several times as long for batches this small.
EPOCHS = {"gluon": ["epochs=3"], "torch": ["epochs=2"]}


@pytest.fixture(scope="module")
def with_dropout(prepared: Path) -> Callable[[str], tuple[Path, Path]]:
    """Trains a network with dropout by an engine: an uninterrupted run, and its configuration."""
    folder = prepared / "dropout"
    folder.mkdir()
    config = write_config(folder, network="mobilenetv3_small", epochs=3, batch_size=4)

    @functools.cache
    def train(engine: str) -> tuple[Path, Path]:
        run = prepared / f"runs/dropout-{engine}"
        arguments = ["--config", config, "--run", run, "--engine", engine, *EPOCHS[engine]]
        done = run_here("train", *arguments, cwd=prepared)
        assert done.returncode == 0, done.stderr
        return run, config

    return train


@pytest.mark.parametrize(
    ("engine", "number"),
    [
        ("gluon", signal.SIGINT),
        ("gluon", signal.SIGTERM),
        pytest.param("torch", signal.SIGINT, marks=needs_torch),
    ],
)
def test_a_polite_stop_saves_inside_the_epoch(
    prepared: Path,
    with_dropout: Callable[[str], tuple[Path, Path]],
    engine: str,
    number: signal.Signals,
) -> None:
    """Dropout's random numbers have to go on where they stopped, too."""
    whole, config = with_dropout(engine)
    run = whole.with_name(f"{whole.name}-{number}")
    options = ["--engine", engine, *EPOCHS[engine]]
    # Of the 84 images of an epoch, 16 are opened before the first step.
    process = start_until(
        run / "history.csv",
        *("train", "--config", config, "--run", run, *options),
        cwd=prepared,
        lines=2,
        images=40,
    )
    go_on(process, number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "stopped in epoch 2 after step " in output
    assert f"Resume with: fashionai train --run {run} --resume" in output
    assert "Traceback" not in output
    resumed = run_here("train", "--run", run, "--resume", cwd=prepared)
    assert resumed.returncode == 0, resumed.stderr
    assert_same_end(whole, run)
