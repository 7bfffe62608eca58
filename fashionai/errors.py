"""The exceptions for all errors that a user can correct, and suggestions of valid names.

The command line prints the message of such an error and exits with code 2. A traceback
means a defect of the program.
"""

from __future__ import annotations

import contextlib
import difflib
import reprlib
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Optional

# A shorter text is not taken for the beginning of a name.
SHORTEST_BEGINNING = 2
# How similar a name must be, of 1, with the same first letter and with another: typos seldom touch
# the first letter.
SAME_FIRST_LETTER, OTHER_FIRST_LETTER = 0.6, 0.75
# How many choices a hint names of a long list, such as the columns of a wide table. Lists that are
# not longer than the other number, such as those of all augmentations, are named whole.
FIRST_CHOICES, SHORT_LIST = 12, 20
# Controls, such as those of colours; formats, such as those that turn the direction of writing;
# halves of characters; separators of lines and paragraphs.
UNPRINTABLE = ("Cc", "Cf", "Cs", "Zl", "Zp")


class FashionAIError(Exception):
    """The base class of all errors that a user can correct.

    ``message`` says what was found and where, ``hint`` what to do about it. ``is_told`` tells
    that another process has printed the error on the terminal already.
    """

    exit_code = 2
    is_told = False

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message


class ConfigError(FashionAIError):
    """A configuration file, an override or an option is invalid."""


class DataError(FashionAIError):
    """A label file, an image, a prediction file or a prepared folder is invalid."""


class WeightsError(FashionAIError):
    """Weights are not available, damaged, or do not fit the network."""


class RunError(FashionAIError):
    """A run folder is missing, in use, unfinished or unsuitable for the command."""


class TrainingError(FashionAIError):
    """Training cannot continue, for instance because the loss is not finite."""


class DivergedError(TrainingError):
    """The loss of a training is not finite."""


class FrameworkError(TrainingError):
    """MXNet or PyTorch has failed, for instance because the memory is full."""


class RunStoppedError(FashionAIError):
    """The user stopped a training run. Its state is saved."""

    exit_code = 130


class InstallationError(FashionAIError):
    """MXNet, its libraries, the driver or a GPU is missing, unsuitable or installed twice."""


@contextlib.contextmanager
def os_errors_as_data_errors() -> Iterator[None]:
    """Turn an OSError, such as a full disk or a folder without write access, into a DataError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{error.filename}: {reason}" if error.filename else reason) from None


def shown(text: str, most: int = 80) -> str:
    """The text as a message shows it: on one line, what cannot be printed escaped, cut if long."""
    part = text if len(text) <= most else f"{text[: most - 3]}..."
    return printable(part).replace("\n", "\\n")


def printable(text: str) -> str:
    """The text with what controls a terminal, or does not show there, escaped; line breaks stay.

    Names of files and values of other people's files are parts of messages.
    """
    return "".join(
        repr(each)[1:-1] if unicodedata.category(each) in UNPRINTABLE and each != "\n" else each
        for each in text
    )


def shown_value(value: object) -> str:
    """The value as Python writes it, on one line; of long text and large lists only a part."""
    return _BRIEF.repr(value)


_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = _BRIEF.maxlong = 80
_BRIEF.maxlist = _BRIEF.maxdict = 12
_BRIEF.maxlevel = 4


def counted(number: int, noun: str) -> str:
    """A number with its noun, such as ``1 row``, ``1,200 rows`` and ``2 classes``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {_plural(noun)}"


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "sh", "tch")) else f"{noun}s"


def list_names(names: Iterable[str], most: int = 3) -> str:
    """The names as text: the first ``most``, and the number of the others."""
    names = list(names)
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def choose_from(choices: Iterable[str]) -> str:
    """A hint at the choices; of a long list the first ones."""
    choices = list(choices)
    most = FIRST_CHOICES if len(choices) > SHORT_LIST else SHORT_LIST
    return f"Choose from: {list_names(choices, most)}"


def nearest(name: str, choices: Iterable[str]) -> str:
    """A hint that names the most similar choice, or the choices if none is similar."""
    choices = list(choices)
    found = closest(name, choices)
    return f"Did you mean '{found}'?" if found else choose_from(choices)


def closest(name: str, choices: Iterable[str]) -> Optional[str]:
    """The choice most similar to ``name``, ignoring case; None if none is similar.

    If no spelling is similar, the only choice that begins with ``name`` is meant.
    """
    by_folded_name = {choice.lower(): choice for choice in choices}
    folded = name.lower()
    similar = difflib.get_close_matches(
        folded, by_folded_name, n=max(1, len(by_folded_name)), cutoff=SAME_FIRST_LETTER
    )
    close = [choice for choice in similar if _is_meant(folded, choice)]
    if not close and len(name) >= SHORTEST_BEGINNING:
        beginning = [choice for choice in by_folded_name if choice.startswith(folded)]
        close = beginning if len(beginning) == 1 else []
    return by_folded_name[close[0]] if close else None


def _is_meant(name: str, choice: str) -> bool:
    """Whether a similar choice is similar enough for its first letter."""
    if name[:1] == choice[:1]:
        return True
    return difflib.SequenceMatcher(None, choice, name).ratio() >= OTHER_FIRST_LETTER


def first_line(error: Exception) -> str:
    """The line of an MXNet error that states the reason, without the C++ trace."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reasons = [line for line in lines if "Check failed" in line or "Error:" in line]
    return (reasons or lines or [type(error).__name__])[0].rpartition("): ")[2][:200]
