"""Processes of which only the first one sees the run that is resumed, as on another machine."""

from __future__ import annotations

import os
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


def resume(folders: list[Path]) -> list[str]:
    """What the processes of a training print, each in its folder; all have to succeed."""
    command = ("train", "--config", "small.yaml", "--engine", "torch", "--device", "cpu")
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "fashionai", *command, "--run", str(RUN), "--resume"],
            cwd=folder,
            env={
                **os.environ,
                **shared,
                **{"PYTHONPATH": str(ROOT), "RANK": str(rank), "LOCAL_RANK": str(rank)},
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank, folder in enumerate(folders)
    ]
    try:
        outputs = [process.communicate(timeout=PATIENCE)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(outputs)
    return outputs


def test_the_first_process_knows_the_run(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its batch, which another number of processes divides, and then that it is finished."""
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
        (folder / "data").symlink_to(prepared / "data")
        write_config(folder, epochs=2)
    monkeypatch.chdir(folders[0])
    trainer = Trainer(load_config(Path("small.yaml"), ["engine=torch"]), [Device("cpu")])
    stop_in_step(trainer, Moment(2))
    with pytest.raises(RunStoppedError):
        trainer.fit(create_run(RUN))
    output, other = resume(folders)
    assert "begun by 1 process and is resumed by 2: each computes" in output
    assert Run.open(RUN).is_finished
    again, other_again = resume(folders)
    assert "already finished" in again
    assert other == other_again == ""
    assert not (folders[1] / "runs").exists()
