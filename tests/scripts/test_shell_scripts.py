"""The scripts: their arguments, and setup.sh when there is nothing to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPTS = [*sorted(ROOT.glob("scripts/**/*.sh")), *sorted(ROOT.glob("*.sh")), ROOT / ".ci" / "run"]


def run(*command: object, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script; returns the finished process with what it printed."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def bare_project(tmp_path: Path) -> Path:
    """A project, in a path with a space, in which nothing is set up."""
    project = tmp_path / "a project"
    (project / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts/setup.sh", project / "scripts")
    shutil.copy(ROOT / "pyproject.toml", project)
    return project


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_is_executable_and_parses(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert run("bash", "-n", script).stderr == ""
    assert "set -euo pipefail" in script.read_text()


@pytest.mark.parametrize(
    ("script", "arguments", "complaint"),
    [
        ("setup.sh", ["--gpus"], "unknown argument '--gpus'"),
        ("setup.sh", ["--dev", "cpu"], "unknown argument 'cpu'"),
        ("setup.sh", [""], "unknown argument ''"),
        ("setup.sh", ["--cpu", "--gpu"], "give one of --cpu and --gpu"),
        ("setup.sh", ["--torch", "--no-torch"], "give one of --torch and --no-torch"),
        ("setup.sh", ["--torch", "--gpu"], "--gpu and --torch exclude each other: "),
        ("check.sh", ["--fast"], "takes no arguments, got '--fast'"),
        ("test.sh", ["--slwo"], "unrecognized arguments: --slwo"),
        ("test.sh", ["-k"], "argument -k: expected one argument"),
        ("check_gpu_install.sh", ["--kep"], "unknown argument '--kep'"),
        ("check_gpu.sh", ["kit", "--onl", "demo"], "unrecognized arguments: --onl"),
        ("check_gpu.sh", ["kit", "--only", "dem"], "--only: no part 'dem', expected environment"),
        ("check_gpu.sh", [], "give either DIR or --prepare DIR"),
        ("check_wheel.sh", ["--kep"], "unknown argument '--kep'"),
        ("bench/setup.sh", ["--cpu"], "takes no arguments, got '--cpu'"),
        ("bench/all.sh", ["--quik"], "unknown argument '--quik'"),
        ("bench/all.sh", ["--quick", "loader"], "unknown argument 'loader'"),
    ],
)
def test_a_wrong_argument_is_one_line(script: str, arguments: list[str], complaint: str) -> None:
    finished = run(ROOT / "scripts" / script, *arguments)
    assert finished.returncode == 2
    assert finished.stdout == ""
    assert finished.stderr.startswith(f"{Path(script).name}: {complaint}")
    assert finished.stderr.count("\n") == 1


def test_a_second_setup_is_quick_and_silent(tmp_path: Path) -> None:
    # These tests run from the .venv that setup.sh made, so there is nothing left to do.
    seconds = []
    for arguments in ([], ["--dev"], []):
        start = time.perf_counter()
        finished = run(ROOT / "scripts/setup.sh", *arguments, cwd=tmp_path)
        seconds.append(time.perf_counter() - start)
        assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")
    assert min(seconds) < 0.5


def fake_python(folder: Path, version: str) -> Path:
    """An interpreter that knows nothing but its version."""
    python = folder / "python3"
    python.write_text(f"#!/bin/sh\necho {version}\n")
    python.chmod(0o755)
    return python


def test_setup_names_a_python_that_does_not_fit(bare_project: Path) -> None:
    python = fake_python(bare_project, "3.13")
    finished = run(bare_project / "scripts/setup.sh", PYTHON=str(python))
    assert finished.returncode == 2
    assert finished.stderr == (
        f"setup.sh: needs Python 3.9 to 3.12; found: {python} is Python 3.13. "
        "Install one, or set PYTHON=/path/to/python3.11\n"
    )
    assert not (bare_project / ".venv").exists()


def test_setup_names_a_python_that_is_missing(bare_project: Path) -> None:
    finished = run(bare_project / "scripts/setup.sh", PYTHON="python3.99")
    assert finished.returncode == 2
    assert "found: no python3.99 that runs. " in finished.stderr
