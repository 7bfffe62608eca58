"""Locks between processes: one at a time, gone with their process, and no file left behind."""

from __future__ import annotations

import errno
import fcntl
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from fashionai.errors import RunError
from fashionai.files.locks import is_locked, locked

BUSY = RunError("busy")
HOLDER = """\
import sys, time
from pathlib import Path
from fashionai.errors import RunError
from fashionai.files.locks import locked
with locked(Path(sys.argv[1]), RunError("busy")):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_held_by_one_at_a_time_and_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / ".lock"
    assert not is_locked(file)
    with locked(file, BUSY):
        assert is_locked(file)
        with pytest.raises(RunError, match="busy"), locked(file, BUSY):
            pass
        assert is_locked(file)
    assert list(tmp_path.iterdir()) == []
    with locked(file, BUSY):
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    file = tmp_path / ".lock"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(file)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(RunError, match="busy"), locked(file, BUSY):
        pass
    process.kill()
    process.wait()
    process.stdout.close()
    assert file.is_file()
    with locked(file, BUSY):
        pass
    assert not file.exists()


def test_a_lock_file_that_its_owner_deletes_is_not_what_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening and locking: the lock has to be on the file that has the name."""
    file = tmp_path / ".lock"
    lock, calls = fcntl.flock, []

    def delete_first(descriptor: int, operation: int) -> None:
        if not calls:
            file.unlink()
        calls.append(operation)
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", delete_first)
    with locked(file, BUSY):
        assert file.is_file()
        assert is_locked(file)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_reported(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(number, "no locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with caplog.at_level(logging.WARNING), locked(tmp_path / ".lock", BUSY):
        pass
    assert f"{tmp_path}: its file system has no locks" in caplog.text
