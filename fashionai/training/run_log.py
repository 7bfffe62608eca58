"""The log file of a run, which also locks the run for the process that trains it."""

from __future__ import annotations

import contextlib
import fcntl
import logging
from collections.abc import Iterator
from typing import TextIO

from fashionai.errors import FashionAIError, RunError
from fashionai.runs import RunFolder

# The logger of this package: all log lines of a training reach it.
training_logger = logging.getLogger("fashionai.training")


@contextlib.contextmanager
def locked_run_log(run: RunFolder) -> Iterator[None]:
    """While in this context, hold the run's lock and copy the training's log lines to train.log.

    Raises RunError when another process holds the lock. An error that leaves the context
    is written to train.log alone, because the caller shows it to the user.
    """
    handler = logging.FileHandler(run.log_file, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    training_logger.setLevel(logging.INFO)
    training_logger.addHandler(handler)
    try:
        assert handler.stream is not None
        lock(handler.stream, run)
        yield
    except FashionAIError as error:
        name, message = training_logger.name, str(error)
        handler.handle(training_logger.makeRecord(name, logging.ERROR, "", 0, message, (), None))
        raise
    finally:
        training_logger.removeHandler(handler)
        handler.close()


def lock(stream: TextIO, run: RunFolder) -> None:
    """Lock the run's open log file until it is closed; RunError when another process holds it."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunError(f"{run}: is being trained by another process") from None
