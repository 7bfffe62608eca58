"""Serves an application on an address until the user stops it."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import ipaddress
import logging
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Callable, Optional

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fashionai.errors import ConfigError

STOPPED_BY = (signal.SIGINT, signal.SIGTERM)
# At the end, clients that are connecting have the first time to do so, and those that are connected
# have the second one to send their request.
SECONDS_TO_CONNECT, SECONDS_TO_SEND = 0.2, 2.0
# Linux' socket option for a program that looks at the packets of a socket (classic BPF), and such a
# program: packets that begin a connection, SYN without ACK among TCP's flags, are dropped.
SO_ATTACH_FILTER = 26
WITHOUT_NEW_CONNECTIONS = (
    (0x30, 0, 0, 13),  # load the byte with the flags
    (0x54, 0, 0, 0x12),  # keep ACK and SYN
    (0x15, 0, 1, 0x02),  # if it is SYN alone, go on; otherwise skip one
    (0x06, 0, 0, 0),  # drop the packet
    (0x06, 0, 0, 0xFFFFFFFF),  # take all of it
)
# The names by which a browser reaches this machine from itself.
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
HOST_HINT = "Give a name or an address of this machine, such as 127.0.0.1"
PORT_HINT = "Give another --port, or --port 0 for a free one"


def is_loopback(host: str) -> bool:
    """Whether this machine alone reaches an address or a name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one.

    Raises ConfigError for an address that is not one of this machine, and for a port in use.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:  # the latter of a name with an empty or long label
        reason = error.strerror if isinstance(error, OSError) else "not the name of a host"
        raise ConfigError(f"--host {host}: {reason}", HOST_HINT) from None
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        # From here on, clients wait until the server runs, instead of being refused.
        listening.listen()
    except OSError as error:
        listening.close()
        hint = HOST_HINT if error.errno == errno.EADDRNOTAVAIL else PORT_HINT
        raise ConfigError(f"{host}:{port}: {error.strerror or error}", hint) from None
    return listening


def url_of(listening: socket.socket) -> str:
    """The address of a page at a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def run_until_stopped(
    app: ASGIApp,
    listening: socket.socket,
    on_stop: Callable[[], None] = lambda: None,
    seconds_to_stop: float = 30.0,
) -> None:
    """Serve until SIGINT or SIGTERM; ``on_stop`` is called when one arrives.

    Requests that have begun are answered then, for so many seconds; a second Ctrl-C ends them.
    Clients that wait to be connected get the answers of the application too, and later ones are
    refused by the operating system: no connection breaks.
    """
    # Anyone could fill the terminal with warnings about malformed requests.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=round(seconds_to_stop),
    )
    server = _Server(config, on_stop)
    config.app = _LastAnswers(app, server)
    server.run(sockets=[listening])


class _Server(uvicorn.Server):
    """A server whose end by a signal is a success: uvicorn would raise the signal again."""

    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        earlier = {each: signal.signal(each, self._stop) for each in STOPPED_BY}
        try:
            yield
        finally:
            for each, handler in earlier.items():
                signal.signal(each, handler)

    async def shutdown(self, sockets: Optional[list[socket.socket]] = None) -> None:
        """Let those send their requests who are connected or wait for it, and refuse all others."""
        for listening in sockets or ():
            _refuse_new_connections(listening)
        end = time.monotonic() + SECONDS_TO_SEND
        await asyncio.sleep(SECONDS_TO_CONNECT)
        while _has_waiting(sockets or ()) or self._has_silent():
            if self.force_exit or time.monotonic() > end:
                break
            await asyncio.sleep(0.01)
        await super().shutdown(sockets)

    def _has_silent(self) -> bool:
        """Whether connections are open on which no request is being answered."""
        cycles = [getattr(each, "cycle", None) for each in self.server_state.connections]
        return any(cycle is None or cycle.response_complete for cycle in cycles)

    def _stop(self, number: int, frame: Optional[FrameType]) -> None:
        self._on_stop()
        self.handle_exit(number, frame)


class _LastAnswers:
    """Closes each connection with its answer once the server stops, and tells the client so."""

    def __init__(self, app: ASGIApp, server: uvicorn.Server) -> None:
        self._app, self._server = app, server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start" and self._server.should_exit:
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        await self._app(scope, receive, send_and_close)


def _has_waiting(sockets: Sequence[socket.socket]) -> bool:
    """Whether clients are connected that have not been accepted."""
    return bool(select.select(sockets, (), (), 0)[0])


def _refuse_new_connections(listening: socket.socket) -> None:
    """Keep what is connected, and let nobody else connect; closing alone breaks what waits.

    A client tries again after a second, and is refused because the socket is closed by then. Where
    this is not Linux, or not allowed, clients that connect in the last microseconds get a broken
    connection.
    """
    if sys.platform != "linux":
        return
    program = b"".join(struct.pack("HBBI", *each) for each in WITHOUT_NEW_CONNECTIONS)
    buffer = ctypes.create_string_buffer(program)
    described = struct.pack("HL", len(WITHOUT_NEW_CONNECTIONS), ctypes.addressof(buffer))
    with contextlib.suppress(OSError):
        listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, described)
