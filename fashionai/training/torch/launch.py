"""Starts one process for each GPU of this machine, with torch's elastic launcher."""

from __future__ import annotations

import dataclasses
import logging
import signal
import sys
from collections.abc import Sequence
from typing import Any

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from fashionai.errors import FashionAIError, RunStoppedError, TrainingError, counted

# Exit codes of processes that have printed their error themselves.
TOLD = {2: TrainingError, RunStoppedError.exit_code: RunStoppedError}
# A process that is asked to stop saves its state after the next steps, which a validation delays.
SECONDS_TO_STOP = 3600
# The commands with --resume.
RESUMABLE = ("train", "predict")


def launch(arguments: Sequence[str], count: int) -> None:
    """Run ``python -m fashionai`` with these arguments in ``count`` processes.

    Raises TrainingError when one of them failed or was killed, the others are ended then, and
    RunStoppedError when they were stopped. An error that the process has printed itself is told.
    """
    _silence("torch.distributed.elastic")
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        run_id="fashionai",
        max_restarts=0,
        monitor_interval=0.5,
        **time_to_stop(),
    )
    try:
        elastic_launch(config, sys.executable)("-m", "fashionai", *arguments)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode in TOLD:
            text = f"rank {rank} of {count} has ended, and has printed why on the terminal"
            raise _told(TOLD[failure.exitcode](text)) from None
        raise TrainingError(
            f"rank {rank} of {count} {_ending(failure.exitcode)}, the others were ended",
            "Go on with --resume" if arguments[0] in RESUMABLE else "",
        ) from None
    except SignalException as error:
        text = f"stopped by {signal.Signals(error.sigval).name}, with {counted(count, 'process')}"
        raise _told(RunStoppedError(text)) from None


def time_to_stop() -> dict[str, Any]:
    """The setting of the launcher for how long a stop may take; before torch 2.10 it has none."""
    name = "shutdown_timeout"
    known = name in {field.name for field in dataclasses.fields(LaunchConfig)}
    return {name: SECONDS_TO_STOP} if known else {}


def _told(error: FashionAIError) -> FashionAIError:
    error.is_told = True
    return error


def _silence(package: str) -> None:
    """Let no module of a package log: each of the launcher's has a level of its own."""
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(package):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _ending(code: int) -> str:
    """How a process ended, for a message."""
    if code == -signal.SIGABRT:
        # NCCL gives a process no chance to say so itself.
        return "was killed by SIGABRT, perhaps because another process does not answer"
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
