"""The types of the callbacks with which long computations report their progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

# A function that is called with the number of items (images, bytes ...) done since its last call.
Advance = Callable[[int], None]


class ProgressBar(Protocol):
    """A function of a description, a total and a unit.

    It returns a context manager that provides an Advance. A total of 0 is not known. The unit
    ``B`` stands for bytes.
    """

    def __call__(
        self, description: str, total: int, unit: str = "images"
    ) -> AbstractContextManager[Advance]:
        """Begin the work."""
        ...


def no_progress(done: int) -> None:
    """An Advance that does nothing."""


@contextmanager
def no_bar(description: str, total: int, unit: str = "images") -> Iterator[Advance]:
    """A ProgressBar that shows nothing."""
    yield no_progress
