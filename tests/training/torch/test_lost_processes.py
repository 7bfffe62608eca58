"""Processes of a training that are killed, stopped or hang, and what goes on afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.jobs import PATIENCE, difference, ended, job, start, trained, write_folder
from tests.support.resuming import assert_same_end, history


@pytest.fixture(scope="module")
def folder(prepared_skirts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("processes"), prepared_skirts)


@pytest.fixture(scope="module")
def one(folder: Path) -> Path:
    trained(folder, 1, *start("one", 16))
    return folder / "runs/one"


@pytest.fixture(scope="module")
def two(folder: Path) -> Path:
    trained(folder, 2, *start("two", 8))
    return folder / "runs/two"


def await_file(file: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a job has written a file."""
    deadline = time.monotonic() + PATIENCE
    while not file.is_file():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def kill_at_first_state(folder: Path, process: subprocess.Popen[str], run: str, rank: int) -> None:
    """Kill one process of a training when the first state is saved."""
    await_file(folder / f"runs/{run}/last.states.npz", process)
    os.kill(int((folder / f"pid-{rank}").read_text()), signal.SIGKILL)


def kill_after_first_epoch(folder: Path, processes: int, rank: int, *arguments: str) -> float:
    """Kill one process of a training when the first state is saved; the seconds until all end."""
    process = job(folder, processes, *arguments)
    run = Path(arguments[arguments.index("--run") + 1]).name
    kill_at_first_state(folder, process, run, rank)
    killed = time.monotonic()
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    told = [line for line in output.splitlines() if line.startswith("Error:")]
    # The first process tells it. If it is killed itself, torchrun's own report does.
    assert len(told) == (0 if rank == 0 else 1), output
    assert all("rank 0 of" in line and "another process has ended" in line for line in told)
    assert f"Signal 9 (SIGKILL) received by PID {(folder / f'pid-{rank}').read_text()}" in output
    # torchrun asks the others to end, which cannot save anything.
    assert "stopping" not in output
    return time.monotonic() - killed


def test_processes_whose_clocks_differ_save_at_the_same_step(folder: Path, two: Path) -> None:
    trained(folder, 2, *start("clocks", 8), RANK_ONE_SAVES="1", FASHIONAI_PROCESS_TIMEOUT="20")
    assert_same_end(folder / "runs/clocks", two)


def test_averaged_weights_with_statistics_resume_exactly(folder: Path) -> None:
    """Scores of averaged weights use the statistics that the files hold, in every process."""
    normalised = ("model.name=normalised", "optimizer.lr=0.01")
    trained(folder, 2, *start("steady", 8), *normalised)
    kill_after_first_epoch(folder, 2, 1, *start("broken", 8), *normalised)
    trained(folder, 2, *start("broken", 8), *normalised, "--resume")
    assert_same_end(folder / "runs/broken", folder / "runs/steady")


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_is_killed_ends_all_and_resuming_goes_on(
    folder: Path, two: Path, rank: int
) -> None:
    arguments = start(f"killed-{rank}", 8)
    run = folder / f"runs/killed-{rank}"
    assert kill_after_first_epoch(folder, 2, rank, *arguments) < 60
    trained(folder, 2, *arguments, "--resume")
    assert_same_end(run, two)


def test_processes_that_torchrun_starts_again_go_on(folder: Path, two: Path) -> None:
    """Its store has the addresses of those that have ended."""
    process = job(folder, 2, *start("restarted", 8), "--resume", restarts=1)
    kill_at_first_state(folder, process, "restarted", 1)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    assert "resuming in epoch" in output
    assert_same_end(folder / "runs/restarted", two)


def test_a_job_that_is_stopped_saves_its_state(folder: Path, two: Path) -> None:
    arguments = start("stopped", 8)
    process = job(folder, 2, *arguments)
    run = folder / "runs/stopped"
    await_file(run / "train.log", process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE)
    assert (run / "last.states.npz").is_file(), output
    assert output.count("stopping after this step") == 1, output
    assert output.count("the state is saved") == 1, output
    assert "Resume with: the command that started all 2 processes, with --resume" in output
    trained(folder, 2, *arguments, "--resume")
    assert_same_end(run, two)


def test_all_processes_stop_in_validation_when_one_is_asked_to(folder: Path, two: Path) -> None:
    arguments = start("interrupted", 8)
    (first, output), (other, _) = ended(folder, 2, *arguments, INTERRUPTED="1")
    assert first == other == 130, output
    assert "stopped in epoch 1 after step 5, the state is saved" in output
    trained(folder, 2, *arguments, "--resume")
    assert_same_end(folder / "runs/interrupted", two)


def test_no_process_ends_before_the_first_one_has_saved_the_state(folder: Path) -> None:
    """SLURM ends all processes as soon as one has ended."""
    run = folder / "runs/slow"
    (first, _), (other, output) = ended(
        folder, 2, *start("slow", 8), INTERRUPTED="1", SLOW_FILE=str(run / "last.states.npz")
    )
    assert first == other == 130, output
    assert "the state is there: True" in output


def test_another_number_of_processes_goes_on_with_the_same_batches(folder: Path, one: Path) -> None:
    arguments = start("grown", 8)
    run = folder / "runs/grown"
    kill_after_first_epoch(folder, 2, 1, *arguments)
    output = trained(folder, 4, *arguments, "--resume")
    assert "begun by 2 processes and is resumed by 4: each computes 4 of the 16 images" in output
    assert difference(one, run) < 1e-5
    assert [row[0] for row in history(run)] == ["epoch", "1", "2"]


def test_a_process_that_hangs_ends_all(folder: Path) -> None:
    process = job(folder, 2, *start("hangs", 8), FASHIONAI_PROCESS_TIMEOUT="5")
    await_file(folder / "runs/hangs/train.log", process)
    hanging = int((folder / "pid-1").read_text())
    os.kill(hanging, signal.SIGSTOP)
    stopped = time.monotonic()
    try:
        # torchrun asks the others to end, and kills them half a minute later.
        output, _ = process.communicate(timeout=PATIENCE)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(hanging, signal.SIGKILL)
    assert time.monotonic() - stopped < 60
    assert process.returncode != 0
    assert "another process has ended or does not answer" in output
