"""Processes with folders and programs of their own, as on several machines."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fashionai.config import load_config
from fashionai.errors import RunStoppedError
from fashionai.frameworks.devices import Device
from fashionai.runs import Run, create_run
from fashionai.training.trainer import Trainer
from tests.support.commands import ROOT
from tests.support.jobs import PATIENCE, free_port
from tests.support.resuming import Moment, stop_in_step
from tests.support.trained_runs import write_config

RUN = Path("runs/stopped")


def train(folders: list[Path], programs: list[Path], code: int = 0) -> list[str]:
    """What the processes of a training print, each with its folder and program; checks the code."""
    command = ("train", "--config", "small.yaml", "--engine", "torch", "--device", "cpu")
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "fashionai", *command, "--run", str(RUN), "--resume"],
            cwd=folder,
            env={
                **os.environ,
                **shared,
                **{"PYTHONPATH": str(program), "RANK": str(rank), "LOCAL_RANK": str(rank)},
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank, (folder, program) in enumerate(zip(folders, programs))
    ]
    try:
        outputs = [process.communicate(timeout=PATIENCE)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [code, code], "\n".join(outputs)
    return outputs


@pytest.fixture
def folders(prepared: Path, tmp_path: Path) -> list[Path]:
    """Two folders with the same data and configuration."""
    made = [tmp_path / "first", tmp_path / "second"]
    for folder in made:
        folder.mkdir()
        (folder / "data").symlink_to(prepared / "data")
        write_config(folder, epochs=2)
    return made


def test_the_first_process_knows_the_run(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its batch, which another number of processes divides, and then that it is finished."""
    monkeypatch.chdir(folders[0])
    trainer = Trainer(load_config(Path("small.yaml"), ["engine=torch"]), [Device("cpu")])
    stop_in_step(trainer, Moment(2))
    with pytest.raises(RunStoppedError):
        trainer.fit(create_run(RUN))
    output, other = train(folders, [ROOT, ROOT])
    assert "begun by 1 process and is resumed by 2: each computes" in output
    assert Run.open(RUN).is_finished
    again, other_again = train(folders, [ROOT, ROOT])
    assert "already finished" in again
    assert other == other_again == ""
    assert not (folders[1] / "runs").exists()


def test_another_program_is_named_with_its_machine(folders: list[Path], tmp_path: Path) -> None:
    shutil.copytree(ROOT / "fashionai", tmp_path / "other/fashionai", symlinks=True)
    with open(tmp_path / "other/fashionai/metrics.py", "a") as file:
        file.write("# Changed.\n")
    output, other = train(folders, [ROOT, tmp_path / "other"], code=2)
    host = socket.gethostname()
    found = f"rank 1 of 2 on {host}: the hash of fashionai's source files is "
    assert f"Error: {found}" in output
    assert f"Error: {found}" in other
    assert not (folders[0] / "runs").exists()
