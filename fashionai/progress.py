"""The types of the callbacks with which long computations report their progress."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

# A function that is called with the number of items (images, bytes ...) done since its last call.
Advance = Callable[[int], None]
# A function of a description and a total. It returns a context manager that provides an Advance.
ProgressBar = Callable[[str, int], AbstractContextManager[Advance]]


def no_progress(done: int) -> None:
    """An Advance that does nothing."""
