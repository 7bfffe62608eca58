"""A run, a cross-validation or a search that is killed while it begins is begun again."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fashionai.runs import holds_run
from tests.support.commands import fashionai
from tests.support.trained_runs import write_config

# Kills the process before an operation on a file of the run: audit event, name of the file.
PROGRAM = """
import os, signal, sys
from fashionai.cli import main

_, event, name, *arguments = sys.argv

def audit(happened, paths):
    last = {"os.rename": 1, "os.remove": 0}.get(happened)
    if happened == event and os.fspath(paths[last]) == f"runs/new/{name}":
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(audit)
main(arguments)
"""
COMMANDS = {
    "train": ("config.yaml", {"classes.json"}),
    "cross-validate": ("cross_validation.yaml", {"config.base.yaml", "folds.csv"}),
    "tune": ("tune.yaml", {"config.base.yaml", "space.yaml", "folds.csv"}),
}


def command_line(name: str) -> list[str]:
    options = {
        "train": [],
        "cross-validate": ["--folds", "2", "--crops", "1"],
        "tune": ["--space", "space.yaml", "--trials", "1", "--folds", "2", "--out", "best.yaml"],
    }
    return [name, "--config", "small.yaml", "--run", "runs/new", *options[name]]


@pytest.fixture(autouse=True)
def work(prepared_skirts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with data/, which is for reading, and configurations, as the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("data").symlink_to(prepared_skirts / "data")
    write_config(tmp_path, epochs=1, batch_size=42)
    Path("space.yaml").write_text("optimizer.lr: [0.02]\n")


def killed(command: list[str], *operation: str) -> set[str]:
    """The names of what a command has written that is killed before an operation on a file."""
    program = [sys.executable, "-c", PROGRAM, *operation, *command]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return {file.name for file in Path("runs/new").iterdir()}


@pytest.mark.parametrize("logs", ["tensorboard", "mlflow"])
def test_what_other_programs_get_first_is_no_file_of_the_users_own(logs: str) -> None:
    pytest.importorskip({"tensorboard": "tensorboardX"}.get(logs, logs))
    command = [*command_line("train"), f"log=[{logs}]"]
    written = killed(command, "os.rename", "classes.json")
    assert written & {"tensorboard", "mlflow.json"}
    assert fashionai(*command, "--resume") == 0
    assert [path.name for path in Path("runs").iterdir()] == ["new"]


@pytest.mark.parametrize("has_begun", [False, True])
@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_kill_leaves_of_a_beginning_is_used(name: str, has_begun: bool) -> None:
    mark, written = COMMANDS[name]
    operation = ["os.remove", ".beginning"] if has_begun else ["os.rename", mark]
    assert written | {".beginning"} <= killed(command_line(name), *operation)
    folder = Path("runs/new")
    assert holds_run(folder) == has_begun
    assert fashionai(*command_line(name), "--resume") == 0
    assert [path.name for path in folder.parent.iterdir()] == ["new"]
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
