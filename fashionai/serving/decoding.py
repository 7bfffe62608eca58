"""Decodes images in processes of their own: an image that ends the decoder costs one answer.

Decoders are C libraries, and images come from anyone. A process that dies, or that takes too long,
is replaced by a new one.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Optional

import numpy as np

from fashionai.config import DataConfig
from fashionai.errors import DataError
from fashionai.files.formats.image_signatures import HEAD, identify_format
from fashionai.pipeline.augment import EvaluationTransform
from fashionai.pipeline.decode import decode, read_header

# Status codes of HTTP: the image was decoded, is too large, has another format, is damaged, and no
# decoder is there.
DECODED, TOO_LARGE, UNSUPPORTED, UNUSABLE, UNAVAILABLE = 200, 413, 415, 422, 503
# They are sent before what follows, as so many digits.
STATUS_DIGITS = 3
READY = b"ready"
STANDARD_ERROR = 2
# A process imports NumPy and OpenCV, which takes a second, and many on a busy machine.
SECONDS_TO_START = 60


class ImageError(Exception):
    """An image that cannot be used: the status code of its answer, and the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Wanted(NamedTuple):
    """What becomes of each image: its ``crops`` views for a network with this configuration.

    An image of more than ``pixels`` is refused, and one that takes longer than ``seconds``.
    """

    data: DataConfig
    crops: int
    pixels: int
    seconds: float

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of the views."""
        return (self.crops, self.data.crop, self.data.crop, 3)


class Decoders:
    """A number of processes that decode, one image at a time each."""

    def __init__(self, wanted: Wanted, processes: int) -> None:
        self._all = [_Decoder(wanted) for _ in range(processes)]
        self._free: queue.SimpleQueue[_Decoder] = queue.SimpleQueue()
        for decoder in self._all:
            self._free.put(decoder)

    def views(self, data: bytes) -> np.ndarray:
        """The views ``(V, crop, crop, 3) uint8`` RGB of an encoded image.

        Waits for a process that is free. Raises ImageError for an image that cannot be used.
        """
        decoder = self._free.get()
        try:
            return decoder.views(data)
        finally:
            self._free.put(decoder)

    def processes(self) -> Iterator[int]:
        """The ids of the processes that run now."""
        for decoder in self._all:
            if decoder.pid is not None:
                yield decoder.pid

    def close(self) -> None:
        """End all processes. No image may be decoding."""
        for decoder in self._all:
            decoder.stop()


class _Decoder:
    """One process that decodes; it is started again for the next image after it has died."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._process: Any = None
        self._connection: Optional[Connection] = None
        self._is_ready = False
        self._start()

    @property
    def pid(self) -> Optional[int]:
        return None if self._process is None else self._process.pid

    def views(self, data: bytes) -> np.ndarray:
        """The views of an image, see Decoders.views."""
        if self._process is None or not self._process.is_alive():
            self.stop()
            self._start()
        assert self._connection is not None
        try:
            self._wait_until_ready(self._connection)
            self._connection.send_bytes(data)
            if not self._connection.poll(self._wanted.seconds):
                self.stop()
                raise ImageError(UNUSABLE, f"not decoded within {self._wanted.seconds:g} s")
            answer = self._connection.recv_bytes()
        except (EOFError, OSError):
            self.stop()
            raise ImageError(UNUSABLE, "the decoder stopped at this image") from None
        status, content = int(answer[:STATUS_DIGITS]), answer[STATUS_DIGITS:]
        if status != DECODED:
            raise ImageError(status, content.decode())
        return np.frombuffer(content, np.uint8).reshape(self._wanted.shape)

    def stop(self) -> None:
        """End the process, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _wait_until_ready(self, connection: Connection) -> None:
        if self._is_ready:
            return
        if not connection.poll(SECONDS_TO_START):
            self.stop()
            raise ImageError(UNAVAILABLE, f"no decoder within {SECONDS_TO_START} s; try again")
        try:
            self._is_ready = connection.recv_bytes() == READY
        except (EOFError, OSError):
            # The image has not reached it.
            self.stop()
            raise ImageError(UNAVAILABLE, "a decoder ended while it started; try again") from None

    def _start(self) -> None:
        self._is_ready = False
        # A forked process would share MXNet's threads, which it does not have.
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_work, args=(other, self._wanted), daemon=True)
        self._process.start()
        # With the last copy in the other process, its death is the end of the pipe.
        other.close()


def _work(connection: Connection, wanted: Wanted) -> None:
    """Answer each image that arrives, until the pipe ends with the server."""
    # Ctrl-C reaches all processes of a terminal, and systemd sends SIGTERM to all of a service. The
    # server, which stops as well, still needs this one for the requests that have begun.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # Decoders write warnings about damaged images there.
    os.dup2(os.open(os.devnull, os.O_WRONLY), STANDARD_ERROR)
    with contextlib.suppress(EOFError, OSError):
        connection.send_bytes(READY)
        while True:
            connection.send_bytes(_answer(connection.recv_bytes(), wanted))


def _answer(data: bytes, wanted: Wanted) -> bytes:
    """A status code and the bytes of the views, or the reason why there are none."""
    try:
        return b"%d" % DECODED + make_views(data, wanted).tobytes()
    except ImageError as error:
        return b"%d" % error.status + error.reason.encode("utf-8", "replace")


def make_views(data: bytes, wanted: Wanted) -> np.ndarray:
    """The views of an encoded image, as predict makes them; ImageError if it cannot be used."""
    if data and identify_format(data[:HEAD]) is None:
        raise ImageError(UNSUPPORTED, "not an image")
    header = read_header(data)
    if header is not None and header.width * header.height > wanted.pixels:
        size = f"{header.width}x{header.height} pixels"
        raise ImageError(TOO_LARGE, f"too large: {size}, expected at most {wanted.pixels:,}")
    transform = EvaluationTransform(wanted.data, wanted.crops)
    try:
        image = decode(data, transform.decode_short, "image")
    except DataError as error:
        reason = error.message.removeprefix("image: the image cannot be decoded: ")
        raise ImageError(UNUSABLE, reason) from None
    views = np.empty(wanted.shape, np.uint8)
    transform(image, np.random.default_rng(0), views)
    return views
