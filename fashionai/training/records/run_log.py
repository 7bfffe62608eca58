"""The log file of a run."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from fashionai.errors import FashionAIError
from fashionai.runs import RunFolder

# All log lines of a training reach one of these: of this package, and of what shows trainings.
TRAINING_LOGGERS = tuple(map(logging.getLogger, ("fashionai.training", "fashionai.tracking")))


@contextlib.contextmanager
def run_log(run: RunFolder) -> Iterator[None]:
    """While in this context, append the training's log lines to train.log.

    An error that leaves the context is written to train.log alone, because the caller shows
    it to the user.
    """
    handler = logging.FileHandler(run.log_file, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    for logger in TRAINING_LOGGERS:
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
    try:
        yield
    except FashionAIError as error:
        handler.handle(logging.makeLogRecord({"levelno": logging.ERROR, "msg": str(error)}))
        raise
    finally:
        for logger in TRAINING_LOGGERS:
            logger.removeHandler(handler)
        handler.close()
