"""The launcher that starts one process for each GPU; here the processes compute on the CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from fashionai.frameworks.torch import import_torch
from fashionai.training.torch.launch import time_to_stop
from tests.support.jobs import PATIENCE, write_folder

import_torch()

from torch.distributed.launcher.api import LaunchConfig  # noqa: E402

PROGRAM = """\
import sys
from fashionai.errors import FashionAIError
from fashionai.training.torch.launch import launch
try:
    launch(sys.argv[1:], 2)
except FashionAIError as error:
    sys.exit(error.exit_code if error.is_told else f"Error: {error}")
"""
# Python runs this file when it starts.
KILLED = """\
import os, signal, time
if os.environ.get("RANK") == "1":
    os.kill(os.getpid(), signal.SIGKILL)
if os.environ.get("RANK") == "0":
    time.sleep(60)  # until the launcher ends it
"""


def launched(folder: Path, *arguments: str) -> tuple[int, str]:
    """The exit code and the output of the launcher with two processes."""
    path = [str(folder), str(Path.cwd()), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return done.returncode, done.stdout + done.stderr


def test_two_processes_are_launched(prepared_skirts: Path, tmp_path: Path) -> None:
    folder = write_folder(tmp_path, prepared_skirts)
    options = ("model.name=mobilenet0.25", "epochs=1", "batch_size=8")
    code, output = launched(
        folder, "train", "--device", "cpu", "--config", "plain.yaml", "--run", "runs/a", *options
    )
    assert code == 0, output
    assert output.count("finished: best epoch 1") == 1
    assert (folder / "runs/a/best.params").is_file()


def test_an_error_of_a_process_is_one_line(tmp_path: Path) -> None:
    code, output = launched(tmp_path, "train", "--device", "cpu", "--config", "missing.yaml")
    assert code == 2
    assert output.count("\n") == 1, output
    assert output.startswith("Error: ")


def test_a_process_that_is_killed_is_named(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(KILLED)
    code, output = launched(tmp_path, "train", "--device", "cpu", "--config", "missing.yaml")
    assert code != 0
    assert "Error: rank 1 of 2 was killed by SIGKILL, the others were ended" in output
    assert output.count("Error:") == 1, output


def test_a_stop_may_take_as_long_as_a_validation() -> None:
    config = LaunchConfig(min_nodes=1, max_nodes=1, nproc_per_node=2, **time_to_stop())
    assert getattr(config, "shutdown_timeout", 3600) >= 3600
