"""Interrupting a training: the first Ctrl-C or SIGTERM stops it in order, the second at once."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any, Optional

STOPPING = b"\nstopping after this step and saving the state (again: stop without saving)\n"


class Stopped(Exception):  # noqa: N818 - not an error
    """A stop was requested, and the caller of StopRequest.check can stop here."""


class StopRequest:
    """While in this context, SIGINT and SIGTERM set ``requested`` instead of ending the program.

    After the first signal the previous handlers are back: the second one ends the program.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.requested = False
        self._previous_handlers: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        # Python lets only the main thread set handlers; only it receives Ctrl-C.
        if threading.current_thread() is threading.main_thread():
            self._previous_handlers = {
                number: signal.signal(number, self._handle) for number in self.SIGNALS
            }
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._restore_handlers()

    def check(self) -> None:
        """Raise Stopped if a stop was requested."""
        if self.requested:
            raise Stopped

    def _handle(self, number: int, frame: Optional[FrameType]) -> None:
        self.requested = True
        self._restore_handlers()
        # A handler may interrupt a print: write to the terminal past Python's buffers.
        os.write(2, STOPPING)

    def _restore_handlers(self) -> None:
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)
        self._previous_handlers = {}
