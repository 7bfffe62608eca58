"""Serves an application on an address until the user stops it."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import signal
import socket
from collections.abc import Iterator
from types import FrameType
from typing import Callable, Optional

import uvicorn
from starlette.types import ASGIApp

from fashionai.errors import ConfigError

STOPPED_BY = (signal.SIGINT, signal.SIGTERM)
# The names by which a browser reaches this machine from itself.
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


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
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        # From here on, clients wait until the server runs, instead of being refused.
        listening.listen()
    except OSError as error:
        raise ConfigError(
            f"{host}:{port}: {error.strerror or error}",
            "Give another --port, or --port 0 for a free one",
        ) from None
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
    _Server(config, on_stop).run(sockets=[listening])


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

    def _stop(self, number: int, frame: Optional[FrameType]) -> None:
        self._on_stop()
        self.handle_exit(number, frame)
