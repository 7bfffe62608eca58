"""The standard streams, which may be closed, lose their reader, or have a narrow encoding."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any


def make_streams_safe() -> None:
    """Let no output end a command whose work goes well.

    Closed streams are replaced by the null device: otherwise the next file that is opened
    would become the standard output. What the terminal's encoding lacks is written as an escape.
    When the program that reads the output has ended, further output is dropped.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free descriptor, which is this one
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - for the whole program
    sys.stdout = _safe(sys.stdout or open(1, "w", closefd=False))  # noqa: SIM115
    sys.stderr = _safe(sys.stderr or open(2, "w", closefd=False))  # noqa: SIM115


class _Unbreakable(io.TextIOBase):
    """A text stream that drops what it cannot write any more."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text; returns its length."""
        with self._dropping():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        with self._dropping():
            self._stream.flush()

    def __getattribute__(self, name: str) -> Any:
        if name in ("write", "flush", "_stream", "_dropping"):
            return super().__getattribute__(name)
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _dropping(self) -> Any:
        try:
            yield
        except OSError:
            # Of a pipe without a reader, or of a terminal that is gone. The buffer keeps what it
            # could not write, and would fail again at the end of the program.
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)


def _safe(stream: Any) -> Any:
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return _Unbreakable(stream)
