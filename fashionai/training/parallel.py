"""Trains several runs at once, each in a process of its own on one device."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fashionai.config import Config, save_config
from fashionai.errors import RunStoppedError, TrainingError
from fashionai.runtime import PROCESSES_VARIABLE
from fashionai.training.interrupt import PARENT_VARIABLE, StopRequest

# Processes that are asked to stop save their state.
SECONDS_TO_STOP = 60.0
SECONDS_BETWEEN_LOOKS = 0.2

# The running trainings by the position of their device.
Running = dict[int, tuple[Path, subprocess.Popen[bytes]]]


def train_side_by_side(runs: Mapping[Path, Config], devices: Sequence[Any]) -> None:
    """Train runs, or resume them, in their folders, one on each device at a time.

    Each logs to its train.log alone. Raises RunStoppedError when the user stops, and
    TrainingError when a training fails; the others are stopped in order then.
    """
    waiting, free = list(runs), list(range(len(devices)))
    running: Running = {}
    at_once = min(len(waiting), len(free))
    with tempfile.TemporaryDirectory(prefix="fashionai-") as name, StopRequest() as stop:
        scratch = Path(name)
        try:
            while (waiting or running) and not stop.requested:
                while waiting and free:
                    run, place = waiting.pop(0), free.pop(0)
                    process = _start(run, runs[run], devices[place], scratch, at_once)
                    running[place] = run, process
                time.sleep(SECONDS_BETWEEN_LOOKS)
                free += _ended(running, scratch)
        finally:
            killed = _stop(running)
        if stop.requested:
            raise RunStoppedError(_saved(killed))


def _start(
    run: Path, config: Config, device: Any, scratch: Path, at_once: int
) -> subprocess.Popen[bytes]:
    """Start a training that shares the cores of this machine with others, ``at_once`` in all."""
    save_config(config, scratch / f"{run.name}.yaml")
    where = ["--device", "cpu"]
    if device.device_type == "gpu":
        where = ["--gpus", str(device.device_id)]
    arguments = ["--config", str(scratch / f"{run.name}.yaml"), "--run", str(run), "--resume"]
    with open(scratch / run.name, "wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "fashionai", "train", *arguments, *where],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={
                **os.environ,
                PROCESSES_VARIABLE: str(at_once),
                PARENT_VARIABLE: str(os.getpid()),
            },
            # Ctrl-C reaches this process alone, which then stops the trainings in order.
            start_new_session=True,
        )


def _ended(running: Running, scratch: Path) -> list[int]:
    """The devices whose training has ended; TrainingError when one has failed."""
    ended = [place for place, (_, process) in running.items() if process.poll() is not None]
    for place in ended:
        run, process = running.pop(place)
        if process.returncode:
            text = (scratch / run.name).read_text(encoding="utf-8", errors="replace")
            raise TrainingError(f"{run}: {error_in(text)}")
    return ended


def error_in(output: str) -> str:
    """The error at the end of what a training has printed, which may have several lines."""
    _, found, error = f"\n{output.strip()}".rpartition("\nError: ")
    return error if found else error.rpartition("\n")[2] or "no message"


def _stop(running: Running) -> list[Path]:
    """Stop what still runs: trainings save their state. Returns the runs that had to be killed."""
    for _, process in running.values():
        process.terminate()
    killed = []
    end = time.monotonic() + SECONDS_TO_STOP
    for run, process in running.values():
        try:
            process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed.append(run)
    return killed


def _saved(killed: Sequence[Path]) -> str:
    """What was saved when the user stopped the trainings."""
    if not killed:
        return "stopped, the states are saved"
    names = ", ".join(map(str, killed))
    return (
        f"stopped; the states are saved but for {names}, which did not end within "
        f"{SECONDS_TO_STOP:.0f} s and will go on from an earlier state"
    )
