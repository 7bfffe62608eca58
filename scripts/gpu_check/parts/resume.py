"""A training that is killed and resumed, compared with one that is not."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from gpu_check.worker import Context

# The training is killed after this many epochs.
EPOCHS_BEFORE = 2


def run(context: Context) -> None:
    """Add whether the training ended after a kill, and how far its parameters differ."""
    from fashionai.models.parameter_files import read_parameters

    with tempfile.TemporaryDirectory() as scratch:
        whole, killed = Path(scratch) / "whole", Path(scratch) / "killed"
        with _training(context, whole) as other:
            done = _kill_after_epochs(context, killed)
            with _training(context, killed) as resumed:
                ended = resumed.wait() == 0
            ended = (other.wait() == 0) and ended
        context.add("ends after kill -9", ended, passed=ended, note=f"killed after epoch {done}")
        if ended:
            files = [read_parameters(folder / "last.params") for folder in (whole, killed)]
            _add_difference(context, *files)


def _add_difference(
    context: Context, whole: dict[str, np.ndarray], resumed: dict[str, np.ndarray]
) -> None:
    difference = max(float(np.abs(whole[name] - resumed[name]).max()) for name in whole)
    context.add(
        "largest difference of the final parameters",
        difference,
        # GPUs add in an order of their own choice.
        passed=None if context.on_gpu else difference == 0,
        expected="" if context.on_gpu else "0",
        note="the same bits are promised on the CPU alone" if context.on_gpu else "",
    )


@contextlib.contextmanager
def _training(context: Context, folder: Path):  # type: ignore[no-untyped-def]
    """A process that trains into a folder, killed at the end of the context if it still runs."""
    job = context.job(settings={"module": "resumed_run", "folder": str(folder)})
    process = subprocess.Popen([sys.executable, "-m", "gpu_check.worker", job])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _kill_after_epochs(context: Context, folder: Path) -> int:
    """Train into a folder and kill the process; returns the number of finished epochs."""
    with _training(context, folder) as process:
        while process.poll() is None and _epochs(folder) < EPOCHS_BEFORE:
            time.sleep(0.02)
        if process.poll() is not None:
            raise RuntimeError(f"the training ended before it was killed, code {process.poll()}")
    return _epochs(folder)


def _epochs(folder: Path) -> int:
    """The number of finished epochs of a run that has begun."""
    file = folder / "history.csv"
    return len(file.read_text().splitlines()) - 1 if file.is_file() else 0
