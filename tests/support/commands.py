"""The project's folder, and ways to run its command line."""

from __future__ import annotations

import contextlib
import io
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from fashionai.cli import main

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"
CONFIG_FILES = sorted(CONFIGS.glob("*.yaml"))


def run_cli(*arguments: object, cwd: Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run ``python -m fashionai`` as a user would; returns the finished process."""
    return subprocess.run(
        [sys.executable, "-m", "fashionai", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


def run_here(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """As run_cli, but in this process, which spares the seconds that a start takes."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = fashionai(*arguments)
    assert isinstance(code, int)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def fashionai(*arguments: object) -> object:
    """The exit code of a command run in this process, which spares the import of MXNet."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return stop.code
    return 0


def run_in(folder: Path, *commands: Sequence[object]) -> None:
    """Run commands in a folder one after the other, in this process; each has to succeed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command in commands:
            assert fashionai(*command) == 0, command


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """While in this context the system takes so many bytes of a file, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
