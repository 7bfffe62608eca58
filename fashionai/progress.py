"""How long work tells how far it is: the types of what commands show as bars."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

# Called with the number of items (images, bytes ...) done since the last call.
Advance = Callable[[int], None]
# Called with a description and a total; the context that it gives holds an Advance.
ProgressBar = Callable[[str, int], AbstractContextManager[Advance]]


def no_progress(done: int) -> None:
    """An Advance that shows nothing."""
