"""What a command prints must not end it: narrow encodings, readers that end, closed streams."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.data_trees import write_class_folders

COMMAND = f"{sys.executable} -m fashionai"


def run_shell(command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        timeout=120,
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_names_that_the_terminal_cannot_show_are_escaped(tmp_path: Path, encoding: str) -> None:
    write_class_folders(tmp_path / "pets", {"": 6})
    (tmp_path / "pets").rename(tmp_path / "动物")
    folder = next(path for path in (tmp_path / "动物").iterdir() if path.is_dir())
    folder.rename(folder.with_name("猫"))
    prepare = f"{COMMAND} prepare --task pets --folders 动物 --out 出"
    done = run_shell(prepare, tmp_path, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    # Click writes UTF-8 to a terminal that claims to be plain ASCII.
    assert (rb"\u732b" in done.stdout) or ("猫".encode() in done.stdout and encoding == "ascii")
    assert (tmp_path / "出/pets/manifest.csv").is_file()
    wrong = run_shell(f"{COMMAND} export --run 跑 --out x", tmp_path, PYTHONIOENCODING=encoding)
    assert wrong.returncode == 2
    assert b"Traceback" not in wrong.stderr


def test_a_reader_that_ends_first_is_no_error(tmp_path: Path) -> None:
    done = run_shell(f"{COMMAND} models | head -1", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 1


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-"])
def test_closed_streams_change_neither_result_nor_exit_code(tmp_path: Path, closed: str) -> None:
    demo = f"{COMMAND} demo --out demo --train-images 2 --test-images 2"
    assert run_shell(f"{demo} {closed}", tmp_path).returncode == 0
    assert (tmp_path / "demo/base/Annotations/label.csv").is_file()
    assert run_shell(f"{COMMAND} tasks nothing {closed}", tmp_path).returncode == 2


DECODING_WHEN_INTERRUPTED = """
import threading
import cv2, numpy
from fashionai import cli

_, data = cv2.imencode(".jpg", numpy.zeros((2000, 2000, 3), numpy.uint8))
started = threading.Event()

def decode():
    while True:
        started.set()
        cv2.imdecode(data, cv2.IMREAD_COLOR)

def interrupted(*arguments, **settings):
    threading.Thread(target=decode, daemon=True).start()
    started.wait()
    raise KeyboardInterrupt

cli.root.main = interrupted
cli.main()
"""


def test_an_interruption_does_not_wait_for_threads_that_decode(tmp_path: Path) -> None:
    """C++ code aborts the program when such a thread wakes up while Python ends."""
    done = subprocess.run(
        [sys.executable, "-c", DECODING_WHEN_INTERRUPTED],
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (130, b"Interrupted.\n")


@pytest.mark.parametrize("command", ["models", "--version", "tasks skirt"])
def test_output_that_does_not_fit_on_the_disk_is_an_error(tmp_path: Path, command: str) -> None:
    done = run_shell(f"{COMMAND} {command} >/dev/full", tmp_path)
    assert done.returncode == 2
    expected = b"Error: standard output: cannot be written: No space left on device\n"
    assert done.stderr == expected
