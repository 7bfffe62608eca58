"""How long processes wait for each other."""

from __future__ import annotations

import contextlib
import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from fashionai.frameworks.torch import import_torch
from fashionai.training.torch.processes import PATIENCE as PATIENCE_IN_STEPS
from fashionai.training.torch.processes import Processes, is_of_connection
from tests.support.jobs import PATIENCE, free_port
from tests.support.learners import make_batch, make_config, make_samples, open_one

torch = import_torch()

from torch.distributed.elastic.agent.server.local_elastic_agent import (  # noqa: E402
    LocalElasticAgent,
)

BEGIN = """\
import sys, time, torch
from fashionai.training.torch.processes import is_of_connection, join_processes
processes = join_processes(torch.device("cpu"))
rank, ones = processes.share.index, torch.ones(1)
processes.sum(ones)
"""
SLOW_MACHINE = """
with processes.in_turn():
    time.sleep(4 * rank)
processes.sum(ones)
print(int(ones))
"""
FAILING_MACHINE = """
from fashionai.errors import TrainingError
try:
    with processes.in_turn():
        if rank == FAILING:
            raise OSError("the disk is full")
except (OSError, TrainingError) as error:
    print(error)
    # The store of the connection lives in the first process.
    time.sleep(1 if rank == 0 else 0)
"""
TWO_TRAININGS = """
for training in range(2):
    processes = join_processes(torch.device("cpu"))
    with processes.in_turn():
        time.sleep(0 if rank else 1)
        print(time.monotonic())
    processes.leave()
"""
STOPPED_MACHINE = """
from fashionai.training.interrupt import Stopped
try:
    with processes.in_turn():
        time.sleep(0 if rank == STOPPED else 4)
        if rank == STOPPED:
            raise Stopped
except Stopped:
    processes.sum(ones)
    print(int(ones))
"""
STOPPED_VALIDATION = """
from fashionai.training.interrupt import Stopped

def compute():
    if rank == 1:
        raise Stopped
    time.sleep(4)
    return torch.ones(2, 2).numpy()

try:
    processes.rows_unless_stopped(compute)
except Stopped:
    print("stopped")
"""
GONE = """
import os
from fashionai.errors import TrainingError
from fashionai.frameworks.devices import Device
from fashionai.training.torch.opening import tell_finished
from fashionai.config import Config

if rank == 0:
    os._exit(0)
try:
    tell_finished(Config(task="skirt"), [Device("cpu", 0)])
except TrainingError as error:
    print(error)
"""
SLOW_STEP = """
with processes.compiling():
    time.sleep(4 * rank)
    processes.sum(ones)
print(int(ones))
"""
SLOW_PROCESS = """
with processes.compiling():
    processes.sum(ones)
time.sleep(4 * rank)
try:
    processes.sum(ones)
except RuntimeError as error:
    print(is_of_connection(error))
"""
SLOW_VALIDATION = """
from fashionai.training.torch import processes as module
module.PATIENCE = 1.0
processes = join_processes(torch.device("cpu"))

def meet(seconds, slower):
    time.sleep(seconds + slower * rank)
    try:
        return len(processes.rows_of_all(torch.ones(rank + 1, 2).numpy()))
    except RuntimeError as error:
        return is_of_connection(error)

print(meet(0, 2))
with processes.first_step():
    processes.sum(ones)
print(meet(4, 2))
with processes.first_step():
    processes.sum(ones)
print(meet(0, 4))
"""


def outputs(program: str, patience: str = "1") -> list[str]:
    """What two processes print that wait for a second; each is on a machine of its own."""
    own = {"LOCAL_RANK": "0", "FASHIONAI_PROCESS_TIMEOUT": patience}
    machines = [{"GROUP_RANK": str(rank)} for rank in range(2)]
    ranks = processes_of_one_machine()
    return outputs_in(program, *({**rank, **own, **here} for rank, here in zip(ranks, machines)))


def processes_of_one_machine() -> list[dict[str, str]]:
    """The variables of two processes."""
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    return [{**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]


def outputs_in(program: str, *environments: dict[str, str]) -> list[str]:
    """What processes print that are started with these variables."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", BEGIN + program],
            env={**os.environ, **own},
            stdout=subprocess.PIPE,
            text=True,
        )
        for own in environments
    ]
    found = [process.communicate(timeout=PATIENCE)[0].strip() for process in processes]
    # Python aborts now and then when it ends while threads of a connection run.
    assert [process.returncode for process in processes] == [0, 0]
    return found


def test_tasks_of_slurm_find_each_other() -> None:
    step = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NODELIST": "localhost"}
    step |= {"SLURM_JOB_ID": str(os.getpid()), "SLURM_STEP_ID": "0"}
    tasks = [{"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)} for rank in range(2)]
    assert outputs_in("print(int(ones))", *({**step, **task} for task in tasks)) == ["2", "2"]


def test_features_of_a_slow_machine_are_waited_for() -> None:
    assert outputs(SLOW_MACHINE) == ["4", "4"]


def test_a_process_that_has_gone_before_the_training_begins_is_no_want_of_memory() -> None:
    _, told = outputs(GONE)
    assert "another process has ended or does not answer" in told
    assert "memory" not in told


def test_each_training_of_a_program_has_turns_of_its_own() -> None:
    """The processes are on one machine: the second one begins when the first has finished."""
    first, second = (
        [float(time) for time in found.split()]
        for found in outputs_in(TWO_TRAININGS, *processes_of_one_machine())
    )
    assert first[0] < second[0] < first[1] < second[1]


@pytest.mark.parametrize("failing", [0, 1])
def test_a_machine_that_fails_in_its_turn_is_not_waited_for(failing: int) -> None:
    found = outputs(FAILING_MACHINE.replace("FAILING", str(failing)))
    assert found[failing] == "the disk is full"
    assert "another process has failed. Start all of them again" in found[1 - failing]


@pytest.mark.parametrize("stopped", [0, 1])
def test_all_machines_stop_together_when_one_does_in_its_turn(stopped: int) -> None:
    assert outputs(STOPPED_MACHINE.replace("STOPPED", str(stopped))) == ["4", "4"]


def test_a_process_that_stops_in_validation_waits_for_the_others() -> None:
    assert outputs(STOPPED_VALIDATION) == ["stopped", "stopped"]


def test_a_step_that_compiles_is_waited_for() -> None:
    assert outputs(SLOW_STEP) == ["4", "4"]


def test_a_slow_process_is_waited_for_after_a_long_epoch() -> None:
    """Before the first step as well; a short epoch explains no long wait."""
    assert outputs(SLOW_VALIDATION, patience="")[0].split() == ["3", "3", "True"]


def test_a_process_that_hangs_in_a_step_ends_all_within_a_minute() -> None:
    """torch's launcher kills it after a grace period; seconds remain for the end of the others."""
    stop = inspect.signature(LocalElasticAgent._shutdown).parameters
    grace = stop["timeout"].default if "timeout" in stop else 30
    assert PATIENCE_IN_STEPS + grace <= 52


class Recorded(Processes):
    """One process that notes what it does."""

    def __init__(self, calls: list[str]) -> None:
        super().__init__()
        self._calls = calls

    def sum(self, tensor: torch.Tensor) -> None:
        self._calls.append("sum")

    @contextlib.contextmanager
    def _patient(self, patience: timedelta) -> Iterator[None]:
        self._calls.append(f"patient for {patience.total_seconds():.0f} s")
        yield
        self._calls.append("not patient")


def test_all_sums_of_a_step_that_compiles_end_before_patience_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU a sum begins when it is asked for, and lasts until other processes ask as well."""
    monkeypatch.setattr(torch, "compile", lambda steps, dynamic: steps)
    samples = make_samples(8)
    learner = open_one(make_config(tmp_path, "compile=true"), samples, "torch")
    calls: list[str] = []
    monkeypatch.setattr(learner, "_processes", Recorded(calls))
    monkeypatch.setattr(learner, "wait", lambda: calls.append("wait"))
    for step in range(2):
        learner.step(make_batch(step, samples, 8), 0, step, 0.1, 0.9)
    assert calls == ["patient for 1800 s", "sum", "wait", "not patient", "sum"]


@pytest.mark.parametrize("pause", ["state", "average_statistics"])
def test_the_first_step_after_other_work_waits_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pause: str
) -> None:
    """The first process writes files, while the others are in the next step already."""
    samples = make_samples(8)
    learner = open_one(make_config(tmp_path), samples, "torch")
    calls: list[str] = []
    monkeypatch.setattr(learner, "_processes", Recorded(calls))
    for step in range(3):
        learner.step(make_batch(step, samples, 8), 0, step, 0.1, 0.9)
        if step == 1:
            getattr(learner, pause)()
    first, *others = calls
    assert first == "patient for 300 s"
    assert others == ["sum", "not patient", "sum", "patient for 20 s", "sum", "not patient"]


def test_after_compiling_a_slow_process_counts_as_lost() -> None:
    assert outputs(SLOW_PROCESS)[0] == "True"


@pytest.mark.parametrize("text", ["not enough memory: you tried to allocate 8 bytes", "sizes 3, 4"])
def test_other_errors_are_no_lost_process(text: str) -> None:
    assert not is_of_connection(RuntimeError(text))
