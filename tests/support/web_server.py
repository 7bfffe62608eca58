"""An application behind a port of this machine, in a thread of the tests."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from fashionai.serving.limits import Limits
from fashionai.serving.listening import listen, url_of

# Small ones, which small images exceed.
LIMITS = Limits(request_bytes=2_000_000, pixels=100_000, images=20)


@contextlib.contextmanager
def running(app: ASGIApp) -> Iterator[str]:
    """Serve an application; the block gets its address, without a slash at the end."""
    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield url_of(listening).rstrip("/")
    finally:
        server.should_exit = True
        thread.join()
