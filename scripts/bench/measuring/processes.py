"""Processor time and memory of process trees, read from Linux's /proc."""

from __future__ import annotations

import os
import subprocess
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

CLOCK_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Seconds between two samples of the memory of a process tree.
SAMPLING_INTERVAL = 0.01


def process_tree(root: int) -> list[int]:
    """The process ``root`` and all of its descendants."""
    children = defaultdict(list)
    with os.scandir("/proc") as entries:
        processes = [int(entry.name) for entry in entries if entry.name.isdecimal()]
    for process in processes:
        fields = _status(process)
        if fields:
            children[int(fields[1])].append(process)
    tree = [root]
    for process in tree:
        tree += children[process]
    return tree


def cpu_seconds(root: int) -> float:
    """Processor time that a process and its living descendants have used, in seconds."""
    used = [_status(process) for process in process_tree(root)]
    ticks = sum(int(fields[11]) + int(fields[12]) for fields in used if fields)
    return ticks / CLOCK_TICKS_PER_SECOND


def peak_memory(command: Sequence[str], **options: object) -> float:
    """Run a command; returns the largest sum of the resident memory of its processes, in MB.

    A page that two processes share counts twice. Raises CalledProcessError when the command fails.
    """
    process = subprocess.Popen(command, **options)  # type: ignore[call-overload]
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(map(_resident_bytes, process_tree(process.pid))))
        time.sleep(SAMPLING_INTERVAL)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return peak / 1e6


def _status(process: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: state, parent, ...; empty once it has ended."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return []
    # The name stands in brackets and may itself contain brackets and spaces.
    return text.rpartition(")")[2].split()


def _resident_bytes(process: int) -> int:
    """Resident memory of a process, 0 once it has ended."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE_BYTES
    except (OSError, IndexError):
        return 0
