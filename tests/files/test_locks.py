"""Locks between processes: one at a time, gone with their process, and no file left behind."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import subprocess
import sys
import threading
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
# A user who may not write the file: another one, where the tests run as root.
READER = """\
import os
from pathlib import Path
from fashionai.files.locks import is_locked
if os.geteuid() == 0:
    os.seteuid(65534)
print(is_locked(Path(".lock")))
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


def test_who_may_only_read_a_lock_file_sees_that_it_is_locked(tmp_path: Path) -> None:
    file = tmp_path / ".lock"
    tmp_path.chmod(0o755)
    with locked(file, BUSY):
        file.chmod(0o444)
        command = [sys.executable, "-c", READER]
        answer = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
    assert (answer.stdout, answer.stderr) == ("True\n", "")


def test_who_asks_for_a_lock_is_not_taken_for_its_owner(tmp_path: Path) -> None:
    asking = ask_for(tmp_path / ".lock")
    assert not is_locked(tmp_path / ".lock")
    os.close(asking)


def test_who_asks_for_a_lock_keeps_nobody_from_taking_it(tmp_path: Path) -> None:
    asking = ask_for(tmp_path / ".lock")
    end = threading.Timer(0.01, os.close, [asking])
    end.start()
    with locked(tmp_path / ".lock", BUSY):
        assert is_locked(tmp_path / ".lock")
    end.join()


def ask_for(file: Path) -> int:
    """Do what is_locked does, but without an end; the descriptor to close."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


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
    caplog.clear()
    (tmp_path / ".lock").touch()
    assert not is_locked(tmp_path / ".lock")
    assert caplog.text == ""
