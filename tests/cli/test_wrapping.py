"""Long errors are wrapped on a terminal, and stay on one line elsewhere."""

from __future__ import annotations

import fcntl
import logging
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from fashionai.cli.terminal import wrapping
from fashionai.cli.terminal.progress import log_to_terminal
from tests.support.commands import ROOT

LONG = "photos-of-many-birds/" * 4


def standard_error(folder: Path, width: int, *arguments: str) -> str:
    """What a command prints on a terminal of this width; 0 is no terminal."""
    command = [sys.executable, "-m", "fashionai", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("COLUMNS", None)
    if not width:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        return done.stderr
    own, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    child = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=terminal
    )
    os.close(terminal)
    printed = bytearray()
    try:
        while part := os.read(own, 4096):
            printed += part
    except OSError:  # the other end is closed
        pass
    os.close(own)
    assert child.wait(timeout=60) == 2
    return printed.decode().replace("\r\n", "\n")


def without_breaks(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("width", [60, 100])
def test_an_error_is_wrapped_at_the_width_of_the_terminal(tmp_path: Path, width: int) -> None:
    arguments = ("prepare", "--task", "x y", "--csv", f"{LONG}labels.csv", "--images", "photos")
    plain = standard_error(tmp_path, 0, *arguments)
    wrapped = standard_error(tmp_path, width, *arguments)
    assert plain.count("\n") == 1
    assert len(plain) > width
    lines = wrapped.splitlines()
    assert len(lines) > 1
    assert max(len(line) for line in lines if LONG not in line) <= width
    assert lines[0].startswith("Error: ")
    assert without_breaks(wrapped) == without_breaks(plain)


def test_a_long_path_stays_in_one_piece(tmp_path: Path) -> None:
    arguments = ("config", f"{LONG}birds.yaml")
    assert f"{LONG}birds.yaml" in standard_error(tmp_path, 40, *arguments)


def test_wrong_arguments_are_wrapped_below_the_usage(tmp_path: Path) -> None:
    arguments = ("prepare", "--task", "birds", "--csv", "labels.csv", "--seed", "a" * 70)
    plain = standard_error(tmp_path, 0, *arguments)
    wrapped = standard_error(tmp_path, 50, *arguments)
    assert wrapped.splitlines()[0] == "Usage: fashionai prepare [OPTIONS]"
    assert len(wrapped.splitlines()) > len(plain.splitlines())
    assert without_breaks(wrapped) == without_breaks(plain)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Error: a b c", "Error: a b c"),
        ("Error: one two three four five", "Error: one two three\n  four five"),
        (
            "  lr: found 1, expected a smaller one",
            "  lr: found 1,\n    expected a\n    smaller one",
        ),
        (
            "Go on with: fashionai train --run runs/a --resume",
            "Go on with:\n  fashionai train --run runs/a --resume",
        ),
        ("first line\nsecond line of it all", "first line\nsecond line of it\n  all"),
        ("/data/a-long-path/of-many-parts is gone", "/data/a-long-path/of-many-parts\n  is gone"),
    ],
)  # fmt: skip
def test_commands_and_paths_are_not_broken(
    text: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(wrapping, "_width", lambda stream: 20)
    assert wrapping.for_terminal(text) == expected


def test_log_lines_are_wrapped_where_they_go_to_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = f"runs/animals exists, so this is runs/animals-2 ({'use --resume ' * 5})"
    log = logging.getLogger("fashionai.training")
    log_to_terminal()
    log.info("%s", line)
    assert capsys.readouterr().out == f"{line}\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    log.info("%s", line)
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= wrapping.WIDTH < len(line)
    assert without_breaks(shown) == without_breaks(line)
