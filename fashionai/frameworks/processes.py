"""This process among those that train one network together, from the environment.

torchrun and SLURM start the processes; see docs/gpus.md.
"""

from __future__ import annotations

import math
import os
import re
import zlib
from dataclasses import dataclass

from fashionai.errors import ConfigError
from fashionai.runtime import PROCESSES_VARIABLE

# torchrun's variables, which torch.distributed reads.
RANK, COUNT, LOCAL_RANK = "RANK", "WORLD_SIZE", "LOCAL_RANK"
ADDRESS, PORT = "MASTER_ADDR", "MASTER_PORT"
# A port for the processes of a SLURM step, which differs between steps on one machine. From 32,768
# on, Linux gives ports to connections.
FIRST_SLURM_PORT, SLURM_PORTS = 10_000, 20_000


@dataclass(frozen=True)
class Place:
    """Process ``rank`` of ``count``, from 0; it is the ``local_rank``-th one on its machine."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files and logs."""
        return self.rank == 0

    def __str__(self) -> str:
        import socket  # not above: it would slow down every command that only prints help

        return f"rank {self.rank} of {self.count} on {socket.gethostname()}"


ALONE = Place()
# How many seconds processes wait for each other, and the longest time that can be set.
PATIENCE_VARIABLE, LONGEST_PATIENCE = "FASHIONAI_PROCESS_TIMEOUT", 604_800
# How often torchrun or SLURM has started the processes again.
RESTARTS = ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")


def patience_seconds(default: float) -> float:
    """How long to wait for other processes, in seconds; ConfigError for a wrong setting."""
    text = os.environ.get(PATIENCE_VARIABLE, "")
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= LONGEST_PATIENCE:
        raise ConfigError(
            f"{PATIENCE_VARIABLE}: found '{text}', expected seconds, more than 0 and at most "
            f"{LONGEST_PATIENCE:,}"
        )
    return seconds


def is_restarted() -> bool:
    """Whether the launcher has started this process again after a failure."""
    return any(os.environ.get(name, "0") not in ("", "0") for name in RESTARTS)


def current_place() -> Place:
    """The place of this process; a single one without torchrun and SLURM.

    Variables of SLURM are translated into those of torchrun. Raises ConfigError for numbers that
    do not fit each other.
    """
    if COUNT not in os.environ and os.environ.get("SLURM_PROCID", "").isdecimal():
        _translate_slurm()
    if COUNT not in os.environ:
        return Place()
    values = {name: os.environ.get(name, "") for name in (RANK, COUNT, LOCAL_RANK)}
    if all(value.isdecimal() for value in values.values()):
        place = Place(*(int(value) for value in values.values()))
        if place.rank < place.count:
            return place
    found = ", ".join(f"{name}={value}" for name, value in values.items())
    raise ConfigError(
        f"the environment has {found}, expected a rank below the number of processes",
        "Start the processes with torchrun or srun, or unset these variables",
    )


def place_or_alone() -> Place:
    """As current_place, for what does not depend on it: alone where the numbers do not fit."""
    try:
        return current_place()
    except ConfigError:
        return ALONE


def _translate_slurm() -> None:
    """Set torchrun's variables from those of a SLURM step with several tasks.

    A batch script has the number of tasks of the whole job as well (SLURM_NTASKS), but it is a
    single process: only srun starts a step.
    """
    tasks = os.environ.get("SLURM_STEP_NUM_TASKS", "1")
    if tasks == "1":
        return
    hosts = os.environ.get("SLURM_STEP_NODELIST") or os.environ.get("SLURM_NODELIST", "")
    step = f"{os.environ.get('SLURM_JOB_ID')}.{os.environ.get('SLURM_STEP_ID')}"
    for name, value in (
        (RANK, os.environ["SLURM_PROCID"]),
        (COUNT, tasks),
        (LOCAL_RANK, os.environ.get("SLURM_LOCALID", "")),
        (ADDRESS, first_host(hosts)),
        (PORT, str(FIRST_SLURM_PORT + zlib.crc32(step.encode()) % SLURM_PORTS)),
        (PROCESSES_VARIABLE, str(_tasks_that_share_cores())),
    ):
        os.environ.setdefault(name, value)


def _tasks_that_share_cores() -> int:
    """How many tasks of a SLURM step may use the cores of this one; 1 if each has its own."""
    cores = os.environ.get("SLURM_CPUS_ON_NODE", "")
    if cores.isdecimal() and len(os.sched_getaffinity(0)) < int(cores):
        return 1
    counts = os.environ.get("SLURM_STEP_TASKS_PER_NODE", "")
    found = [
        int(tasks)
        for tasks, nodes in re.findall(r"(\d+)(?:\(x(\d+)\))?", counts)
        for _ in range(int(nodes or 1))
    ]
    node = os.environ.get("SLURM_NODEID", "")
    return found[int(node)] if node.isdecimal() and int(node) < len(found) else 1


def first_host(hosts: str) -> str:
    """The first machine of a list as SLURM writes it: ``gpu1``, ``gpu[03-07,9],login``."""
    match = re.match(r"([^,\[\]]|\[\w[^\]]*\])+", hosts)
    if match is None:
        return "localhost"
    return re.sub(r"\[(\w+)[^\]]*\]", r"\1", match.group())
