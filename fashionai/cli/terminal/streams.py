"""Standard streams that raise no errors, whatever they are connected to."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import Any


def make_streams_safe() -> None:
    """Keep errors of the standard streams from ending a command.

    A closed stream is connected to the null device. Otherwise the next file that is opened would
    get the stream's descriptor, and output would be written into that file. Characters that the
    terminal's encoding does not have are written as escapes. Output is discarded after the program
    that reads it has ended.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free descriptor, which is this one
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - for the whole program
    sys.stdout = _safe(sys.stdout or open(1, "w", closefd=False))  # noqa: SIM115
    sys.stderr = _safe(sys.stderr or open(2, "w", closefd=False))  # noqa: SIM115


# Errors of a pipe whose reader has ended, and of a terminal that is closed.
NO_READER = (errno.EPIPE, errno.EIO)
# Other errors of output that was discarded, as of a full disk.
LOST_OUTPUT: list[OSError] = []


class _SafeStream(io.TextIOBase):
    """A text stream that discards all output after a write has failed."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text; returns its length."""
        with self._discarding_after_errors():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        with self._discarding_after_errors():
            self._stream.flush()

    def __getattribute__(self, name: str) -> Any:
        if name in ("write", "flush", "_stream", "_discarding_after_errors"):
            return super().__getattribute__(name)
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _discarding_after_errors(self) -> Any:
        try:
            yield
        except OSError as error:
            if error.errno not in NO_READER:
                LOST_OUTPUT.append(error)
            # The program at the other end of the pipe has ended, or the terminal was closed. The
            # unwritten text is still in the buffer and is flushed at exit. That must not fail, so
            # the descriptor is connected to the null device.
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)


def _safe(stream: Any) -> Any:
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return _SafeStream(stream)
