"""What trees of processes use, as Linux tells it below /proc."""

from __future__ import annotations

import os
import subprocess
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
# Seconds between two looks at the memory of a tree.
SAMPLING = 0.01


def process_tree(root: int) -> list[int]:
    """The process and all that descend from it."""
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
    """Processor time that a process and its living descendants have used."""
    used = [_status(process) for process in process_tree(root)]
    return sum(int(fields[11]) + int(fields[12]) for fields in used if fields) / TICKS


def peak_memory(command: Sequence[str], **options: object) -> float:
    """Run a command; the largest sum, in MB, of the resident memory of its processes.

    A page that two processes share counts twice. Raises CalledProcessError when it fails.
    """
    process = subprocess.Popen(command, **options)  # type: ignore[call-overload]
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(map(_resident, process_tree(process.pid))))
        time.sleep(SAMPLING)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return peak / 1e6


def _status(process: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name: state, parent, ...; none of a process gone."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return []
    # The name, in brackets, may hold anything.
    return text.rpartition(")")[2].split()


def _resident(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0
