"""Several runs at once, each in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fashionai.config import Config, load_config
from fashionai.errors import RunStoppedError, TrainingError
from fashionai.files.locks import LOCK_FILE
from fashionai.frameworks.devices import Device
from fashionai.runs import Run, RunFolder
from fashionai.runtime import usable_cores
from fashionai.training.parallel import error_in, train_side_by_side
from tests.support.commands import ROOT, fashionai
from tests.support.jobs import PATIENCE
from tests.support.resuming import assert_same_end
from tests.support.trained_runs import write_config

# Asks a process to stop, as a stopped cross-validation does, and is killed while that one saves.
ASKED = """
import os, signal, subprocess, sys, time
from pathlib import Path
from fashionai.training.interrupt import PARENT_VARIABLE

STOPPED = '''
import sys, time
from pathlib import Path
from fashionai.training.interrupt import StopRequest, stop_with_parent

stop_with_parent()
with StopRequest() as stop:
    Path(sys.argv[1]).touch()
    while not stop.requested:
        time.sleep(0.01)
    time.sleep(2.5)
    Path(sys.argv[2]).touch()
'''
asked, saved = sys.argv[1:]
environment = {**os.environ, PARENT_VARIABLE: str(os.getpid())}
child = subprocess.Popen([sys.executable, "-c", STOPPED, asked, saved], env=environment)
while not Path(asked).exists():
    time.sleep(0.01)
child.terminate()
time.sleep(1.5)
os.kill(os.getpid(), signal.SIGKILL)
"""
DEVICES = [Device("cpu", 0), Device("cpu", 1)]
# Ends at once when its training has saved its first state.
KILLED = """
import os, signal, sys, threading, time
from pathlib import Path
from fashionai.config import load_config
from fashionai.frameworks.devices import Device
from fashionai.training.parallel import train_side_by_side

def end() -> None:
    while not (run / "last.states.npz").exists():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)

run = Path("left")
run.mkdir()
threading.Thread(target=end).start()
train_side_by_side({run: load_config(Path("small.yaml"), ["epochs=5000"])}, [Device("cpu", 0)])
"""


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def config(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.chdir(prepared)
    write_config(prepared, epochs=1)
    return load_config(Path("small.yaml"))


def test_three_runs_on_two_devices_end_as_alone(config: Config) -> None:
    assert fashionai("train", "--config", "small.yaml", "--run", "alone", "seed=1") == 0
    runs = {Path(f"runs/{seed}"): config.changed({"seed": seed}) for seed in range(3)}
    for run in runs:
        run.mkdir(parents=True)
    train_side_by_side(runs, DEVICES)
    assert all(Run.open(run).is_finished for run in runs)
    assert_same_end(Path("runs/1"), Path("alone"))


def test_runs_at_the_same_time_share_the_cores(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each training is replaced by a program that tells how many cores it would use."""
    told = tmp_path / "told"
    tell = "from fashionai.runtime import usable_cores; print(usable_cores())"
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{tell}' >> {told}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    train_side_by_side(dict.fromkeys([Path("a"), Path("b")], config), [*DEVICES, *DEVICES])
    assert told.read_text().split() == [str(max(1, usable_cores() // 2))] * 2


@pytest.mark.parametrize(
    ("output", "error"),
    [
        ("epoch 1\nError: a: wrong\n  b: wrong too\n", "a: wrong\n  b: wrong too"),
        ("Error: first\nError: last\n", "last"),
        ("epoch 1\nKilled\n", "Killed"),
        ("", "no message"),
    ],
)
def test_the_whole_error_of_a_run_is_told(output: str, error: str) -> None:
    assert error_in(output) == error


def test_a_run_that_does_not_stop_in_time_is_named(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fashionai.training.parallel.SECONDS_TO_STOP", 0)
    Path("busy").mkdir()
    # While it starts, it cannot save a state.
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
    with pytest.raises(RunStoppedError, match="are saved but for busy, which did not end within"):
        train_side_by_side({Path("busy"): config}, DEVICES)


def test_a_run_that_fails_is_named_and_the_others_are_stopped(config: Config) -> None:
    wrong = config.changed(
        {"optimizer.lr": 1e30, "optimizer.name": "sgd", "schedule": {"name": "constant"}}
    )
    runs = {
        Path("good"): config.changed({"epochs": 1_000_000, "schedule.warmup_epochs": 0}),
        Path("wrong"): wrong,
    }
    for run in runs:
        run.mkdir()
    with pytest.raises(TrainingError, match=r"^wrong: the loss is"):
        train_side_by_side(runs, DEVICES)
    assert not (Path("good") / ".lock").exists()
    assert not Run(RunFolder(Path("good"))).is_finished


def test_trainings_stop_when_the_process_is_killed_that_has_started_them(config: Config) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED], timeout=PATIENCE)
    assert killed.returncode == -signal.SIGKILL
    run = RunFolder(Path("left"))
    # A training that ends in order removes its lock.
    wait_until(lambda: not (run.path / LOCK_FILE).exists())
    assert not Run(run).is_finished


def test_a_parent_that_ends_after_it_has_asked_to_stop_is_no_second_request(
    config: Config, tmp_path: Path
) -> None:
    """It would end the training at once, while the state is being saved."""
    program = [sys.executable, "-c", ASKED, str(tmp_path / "asked"), str(tmp_path / "saved")]
    assert subprocess.run(program, timeout=PATIENCE).returncode == -signal.SIGKILL
    wait_until((tmp_path / "saved").exists)
