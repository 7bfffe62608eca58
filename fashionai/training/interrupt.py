"""Stopping politely: the first Ctrl-C or SIGTERM asks, the second one ends at once."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any, Optional

STOPPING = b"\nstopping after this step, saving the state (once more: at once, unsaved)\n"


class Stopped(Exception):  # noqa: N818 - no error
    """Somebody asked to stop, and this is a good place for it."""


class StopRequest:
    """While in this context, SIGINT and SIGTERM set ``requested`` instead of ending the program."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.requested = False
        self._former: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        # Python lets only the main thread set handlers; elsewhere nobody presses Ctrl-C.
        if threading.current_thread() is threading.main_thread():
            self._former = {number: signal.signal(number, self._note) for number in self.SIGNALS}
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._restore()

    def check(self) -> None:
        """Raise Stopped when it was asked for."""
        if self.requested:
            raise Stopped

    def _note(self, number: int, frame: Optional[FrameType]) -> None:
        self.requested = True
        self._restore()
        # A handler may interrupt a print: write past the buffers.
        os.write(2, STOPPING)

    def _restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former = {}
