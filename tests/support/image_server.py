"""A web server on this machine whose pages tests write, and a network that leads to it.

Public addresses cannot be reached from a test: connections to them are led to
the server where they would be opened. All else connects for real.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Optional

import pytest

PUBLIC_ADDRESS, OTHER_PUBLIC_ADDRESS = "93.184.216.34", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"

Page = Callable[[BaseHTTPRequestHandler], None]


class ImageServer(ThreadingHTTPServer):
    """Answers GET with ``pages`` by path; counts connections and keeps requests."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages: dict[str, Page] = {}
        self.connections = 0
        self.requests: list[tuple[str, Mapping[str, str]]] = []
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def paths(self) -> list[str]:
        """The paths asked for, in order."""
        return [path for path, _ in self.requests]

    def get_request(self) -> Any:
        accepted = super().get_request()
        self.connections += 1
        return accepted

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that leave are what tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: ImageServer

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers)))
        self.server.pages.get(self.path, status(404))(self)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class Network:
    """Names with their answers in turn, and the addresses that connections went to."""

    def __init__(self, server: ImageServer) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.connected: list[str] = []
        self._server = server
        self._look_up, self._connect = socket.getaddrinfo, socket.create_connection

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(socket, "getaddrinfo", self.look_up)
        monkeypatch.setattr(socket, "create_connection", self.connect)

    def look_up(self, host: str, port: Any, *arguments: Any, **options: Any) -> list[Any]:
        if host not in self.answers:
            options["flags"] = socket.AI_NUMERICHOST
            return self._look_up(host, port, *arguments, **options)
        turns = self.answers[host]
        addresses = turns.pop(0) if len(turns) > 1 else turns[0]
        return [
            found
            for address in addresses
            for found in self._look_up(address, port, *arguments, **options)
        ]

    def connect(self, address: tuple[str, int], *arguments: Any, **options: Any) -> socket.socket:
        self.connected.append(address[0])
        if address[0] in (PUBLIC_ADDRESS, OTHER_PUBLIC_ADDRESS):
            address = ("127.0.0.1", self._server.server_port)
        return self._connect(address, *arguments, **options)


@contextlib.contextmanager
def serve(tls: Optional[ssl.SSLContext] = None) -> Iterator[ImageServer]:
    with ImageServer() as server:
        if tls is not None:
            server.socket = tls.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.closing.set()
        server.shutdown()


def respond(
    code: int, headers: Mapping[str, object], body: bytes = b"", length: Optional[int] = None
) -> Page:
    """A page with a Content-Length, right unless given."""

    def page(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, str(value))
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        handler.end_headers()
        handler.wfile.write(body)

    return page


def content(body: bytes, **headers: object) -> Page:
    return respond(200, headers, body)


def status(code: int, **headers: object) -> Page:
    return respond(code, {name.replace("_", "-"): value for name, value in headers.items()})


def redirect(target: str) -> Page:
    return status(302, Location=target)


def in_turn(*pages: Page) -> Page:
    """Another page at each request; the last stays."""
    left = list(pages)
    return lambda handler: (left.pop(0) if len(left) > 1 else left[0])(handler)


def endless(
    code: int = 200,
    opening: bytes = b"",
    part: bytes = bytes(65536),
    every: float = 0,
    **headers: str,
) -> Page:
    """A body that goes on until the client leaves."""

    def page(handler: Any) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(opening)
        while not handler.server.closing.wait(every):
            handler.wfile.write(part)

    return page


def endless_headers(every: float) -> Page:
    """A header now and then, and never a body."""

    def page(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
        while not handler.server.closing.wait(every):
            handler.wfile.write(b"x")

    return page


def silence(handler: Any) -> None:
    """No answer at all."""
    handler.server.closing.wait()
