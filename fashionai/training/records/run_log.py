"""The log file of a run."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from fashionai.errors import FashionAIError
from fashionai.runs import RunFolder

# The logger of this package: all log lines of a training reach it.
training_logger = logging.getLogger("fashionai.training")


@contextlib.contextmanager
def run_log(run: RunFolder) -> Iterator[None]:
    """While in this context, append the training's log lines to train.log.

    An error that leaves the context is written to train.log alone, because the caller shows
    it to the user.
    """
    handler = logging.FileHandler(run.log_file, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    training_logger.setLevel(logging.INFO)
    training_logger.addHandler(handler)
    try:
        yield
    except FashionAIError as error:
        name, message = training_logger.name, str(error)
        handler.handle(training_logger.makeRecord(name, logging.ERROR, "", 0, message, (), None))
        raise
    finally:
        training_logger.removeHandler(handler)
        handler.close()
