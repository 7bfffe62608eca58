"""Trainings in several processes on the CPU with gloo, started by torchrun or one by one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fashionai.files.formats.array_lists import read_array_list

CONFIG = """\
task: skirt
engine: torch
model: {name: plain, pretrained: false}
data: {resize_short: 36, crop: 32, workers: 1}
epochs: 2
optimizer: {name: sgd, lr: 0.05, weight_decay: 1e-4}
loss: {label_smoothing: 0.1}
ema: 0.9
"""
# A job of several processes takes some seconds to begin, more on a machine that does other work.
PATIENCE = 120


# As torchrun tells that it starts the processes for the second time.
RESTARTED = {"TORCHELASTIC_RESTART_COUNT": "1"}


def write_folder(made: Path, prepared: Path) -> Path:
    """Make a folder with 84 training and 12 validation images, and a configuration."""
    (made / "data").symlink_to(prepared / "data")
    (made / "plain.yaml").write_text(CONFIG)
    return made


def job(
    folder: Path, processes: int, *arguments: str, restarts: int = 0, **environment: str
) -> subprocess.Popen[str]:
    """Start a training in so many processes; one without torchrun."""
    options = [f"--nproc-per-node={processes}", f"--max-restarts={restarts}"]
    launcher = ["-m", "torch.distributed.run", *options, "-m", "--"]
    program = [*(launcher if processes > 1 else ["-m"]), "tests.support.plain_training"]
    path = f"{Path.cwd()}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    return subprocess.Popen(
        [sys.executable, *program, "train", "--device", "cpu", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(
    folder: Path, processes: int, *arguments: str, **environment: str
) -> list[tuple[int, str]]:
    """The exit code and output of each process of a training.

    They are started one by one, as other launchers than torchrun do, because torchrun itself takes
    seconds to begin.
    """
    shared = {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes), **environment}
    shared.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(free_port()))
    started = [
        job(folder, 1, *arguments, **shared, RANK=str(rank), LOCAL_RANK=str(rank))
        for rank in range(processes)
    ]
    try:
        outputs = [process.communicate(timeout=PATIENCE)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    return [(process.returncode, output) for process, output in zip(started, outputs)]


def trained(folder: Path, processes: int, *arguments: str, **environment: str) -> str:
    """The output of a training that succeeds, of the first of its processes first."""
    codes, outputs = zip(*ended(folder, processes, *arguments, **environment))
    assert set(codes) == {0}, outputs
    return "".join(outputs)


def start(name: str, batch_size: int) -> Sequence[str]:
    return ("--config", "plain.yaml", "--run", f"runs/{name}", f"batch_size={batch_size}")


def difference(first: Path, second: Path) -> float:
    """The largest difference of the last parameters of two runs."""
    arrays = [read_array_list(run / "last.params") for run in (first, second)]
    assert arrays[0].keys() == arrays[1].keys()
    return max(float(np.abs(arrays[0][name] - arrays[1][name]).max()) for name in arrays[0])


def free_port() -> int:
    """A port of this machine that no program listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
