"""Trains several runs at once, each in a process of its own on one device."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fashionai.config import Config, save_config
from fashionai.errors import RunStoppedError, TrainingError
from fashionai.training.interrupt import StopRequest

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
    with tempfile.TemporaryDirectory(prefix="fashionai-") as name, StopRequest() as stop:
        scratch = Path(name)
        with _stopped_afterwards(running):
            while waiting or running:
                while waiting and free:
                    run, place = waiting.pop(0), free.pop(0)
                    running[place] = run, _start(run, runs[run], devices[place], scratch)
                time.sleep(SECONDS_BETWEEN_LOOKS)
                if stop.requested:
                    raise RunStoppedError("stopped, the states are saved")
                free += _ended(running, scratch)


def _start(run: Path, config: Config, device: Any, scratch: Path) -> subprocess.Popen[bytes]:
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
            # Ctrl-C reaches this process alone, which then stops the trainings in order.
            start_new_session=True,
        )


def _ended(running: Running, scratch: Path) -> list[int]:
    """The devices whose training has ended; TrainingError when it has failed."""
    ended = [place for place, (_, process) in running.items() if process.poll() is not None]
    for place in ended:
        run, process = running.pop(place)
        if process.returncode:
            text = (scratch / run.name).read_text(encoding="utf-8", errors="replace")
            lines = [line for line in text.splitlines() if line.strip()] or ["no message"]
            raise TrainingError(f"{run}: {lines[-1].replace('Error: ', '', 1)}")
    return ended


@contextlib.contextmanager
def _stopped_afterwards(running: Running) -> Iterator[None]:
    """Stop what still runs when the context ends: trainings save their state."""
    try:
        yield
    finally:
        left = [process for _, process in running.values()]
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
        for process in left:
            try:
                process.wait(SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                process.kill()
