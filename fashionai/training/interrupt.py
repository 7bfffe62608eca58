"""Stopping a training in order: at Ctrl-C, at SIGTERM, and when its terminal is closed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any, Optional

from fashionai.frameworks.processes import place_or_alone

# Signals so close together are one request: a terminal that closes may send two.
SAME_REQUEST_SECONDS = 1.0
# The id of the process that has started this one, which is to stop when that ends.
PARENT_VARIABLE = "FASHIONAI_PARENT"
PR_SET_PDEATHSIG = 1  # of prctl(2)
STOPPING = b"\nstopping after this step and saving the state (again: stop without saving)\n"


class Stopped(Exception):  # noqa: N818 - not an error
    """A stop was requested, and the caller of StopRequest.check can stop here."""


class StopRequest:
    """While in this context, a signal sets ``requested`` instead of ending the program.

    The signals are SIGINT, SIGTERM and SIGHUP, unless the program was started with one of
    them ignored, as nohup does. Another signal a second later ends the program at once.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.requested = False
        self._requested_at = 0.0
        self._previous_handlers: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        # Python lets only the main thread set handlers; only it receives Ctrl-C.
        if threading.current_thread() is threading.main_thread():
            for number in self.SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous_handlers[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exc_info: object) -> None:
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)
        self._previous_handlers = {}

    def check(self) -> None:
        """Raise Stopped if a stop was requested."""
        if self.requested:
            raise Stopped

    def _handle(self, number: int, frame: Optional[FrameType]) -> None:
        if self.requested:
            if time.monotonic() - self._requested_at > SAME_REQUEST_SECONDS:
                # An exception here could surface anywhere, even while a file is written.
                os._exit(128 + number)
            return
        self.requested, self._requested_at = True, time.monotonic()
        # The one that asks may end next, which would be taken for a second request.
        _on_end_of_parent(0)
        if not _is_told(number):
            return
        # A handler may interrupt a print: write to the terminal past Python's buffers. The
        # terminal, or the program that reads the output, may be gone.
        with contextlib.suppress(OSError):
            os.write(2, STOPPING)


def stop_with_parent() -> None:
    """Let this process get SIGTERM when the one ends that has started it with PARENT_VARIABLE.

    A process that is killed cannot stop those that it has started. Linux only.
    """
    parent = os.environ.pop(PARENT_VARIABLE, "")
    if not parent:
        return
    _on_end_of_parent(signal.SIGTERM)
    if str(os.getppid()) != parent:  # it has ended before this was set
        os.kill(os.getpid(), signal.SIGTERM)


def _on_end_of_parent(number: int) -> None:
    """Let this process get a signal when its parent ends; none for 0."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


def _is_told(number: int) -> bool:
    """Whether this process tells that it stops: of several ones, the first one tells Ctrl-C.

    Launchers send SIGTERM as well when another process has failed: no state can be saved then.
    """
    place = place_or_alone()
    return place.is_first and (place.count == 1 or number == signal.SIGINT)
