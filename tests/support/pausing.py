"""Commands that pause themselves once a run has got so far, however fast or slow they are.

A test that watches a training from outside may miss the moment, because its machine may be
busy. The training therefore stops itself (SIGSTOP), and the test finds it there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

# Arguments: a file, a number of lines, a number of images, and those of fashionai.
PROGRAM = """
import os, signal, sys, threading

file, lines, images, *arguments = sys.argv[1:]
opened, paused, lock = 0, False, threading.Lock()

def has_lines():
    try:
        return os.stat(file).st_size > 0 and count() >= int(lines)
    except FileNotFoundError:
        return False

def count():
    with open(file) as handle:
        return len(handle.readlines())

def pause(event, details):
    global opened, paused
    if event != "open" or paused or str(details[0]) == file or not lock.acquire(blocking=False):
        return
    try:
        if has_lines():
            opened += str(details[0]).endswith(".jpg")
            if opened >= int(images):
                paused = True
                os.kill(os.getpid(), signal.SIGSTOP)
    finally:
        lock.release()

sys.addaudithook(pause)
from fashionai.cli import main
sys.argv = ["fashionai", *arguments]
main(arguments)
"""


def start_until(
    file: Path, *arguments: object, cwd: Path = Path(), lines: int = 1, images: int = 0
) -> subprocess.Popen[str]:
    """Start a command, and return when it has paused itself.

    It pauses when ``file`` has so many lines and, from then on, so many images were opened.
    Standard error is a part of standard output.
    """
    own = [str(file), str(lines), str(images)]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *own, *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 120
    change = os.WSTOPPED | os.WEXITED | os.WNOWAIT | os.WNOHANG
    while (state := os.waitid(os.P_PID, process.pid, change)) is None:
        assert time.monotonic() < deadline, "it did not get that far"
        time.sleep(0.002)
    assert state.si_code == os.CLD_STOPPED, process.communicate()[0]
    return process


def go_on(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Send a signal to a paused command, which gets it as soon as it goes on."""
    process.send_signal(number)
    process.send_signal(signal.SIGCONT)
