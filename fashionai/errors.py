"""Everything that can go wrong and is the user's to mend, as one tree of exceptions.

The command line prints such an error as one line and exits with code 2; a
traceback means a defect of the program.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Iterator
from typing import Optional


class FashionAIError(Exception):
    """Base of all errors that a user can mend.

    ``message`` says what was found and where; ``hint`` what to do about it.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message


class ConfigError(FashionAIError):
    """A configuration file, an override or an option is wrong."""


class DataError(FashionAIError):
    """A label file, an image, a prediction file or a prepared folder is wrong."""


class WeightsError(FashionAIError):
    """Weights cannot be had or do not fit the network."""


class RunError(FashionAIError):
    """A run folder is missing, taken, unfinished or does not fit what is asked of it."""


class TrainingError(FashionAIError):
    """Training cannot go on, for instance because the loss is not finite."""


class RunStoppedError(FashionAIError):
    """The user stopped a training; its state is saved."""

    exit_code = 130


class InstallationError(FashionAIError):
    """The machine lacks something, or has two of it: MXNet, a driver, a GPU it can use."""


@contextlib.contextmanager
def os_errors_as_data_errors() -> Iterator[None]:
    """Turn an OSError, such as a full disk or a folder without write access, into a DataError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{error.filename}: {reason}" if error.filename else reason) from None


def nearest(name: str, choices: Iterable[str]) -> str:
    """A hint that names the closest valid choice, or lists them all when none is close."""
    choices = list(choices)
    found = closest(name, choices)
    return f"Did you mean '{found}'?" if found else f"Choose from: {', '.join(choices)}"


def closest(name: str, choices: Iterable[str]) -> Optional[str]:
    """The valid choice that was meant, whatever its capitals; None when none is close."""
    by_folded_name = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(name.lower(), by_folded_name, n=1, cutoff=0.6)
    return by_folded_name[close[0]] if close else None
