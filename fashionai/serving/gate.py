"""What is asked of every request, and counted of every answer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Collection
from typing import Optional

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fashionai.serving.metrics import Metrics

# The page needs nothing from other addresses, and belongs into no frame of another page.
SECURITY_HEADERS = (
    (b"content-security-policy", b"frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
OTHER = "other"
FIRST_ERROR = 400  # the first status code of an error
# So much of the body of a refused request is read and dropped, and for so long: most clients read
# an answer only after they have sent everything, and would report a broken connection.
DROPPED_BYTES, SECONDS_TO_DROP = 256_000_000, 10.0


class Gate:
    """Refuses requests to other names of this machine, and counts all answers.

    Another web page can make a browser send requests to this machine, and read the answers once
    its own name leads here (DNS rebinding): such requests state a name that is not in ``names``.
    With None all names are right.
    """

    def __init__(
        self,
        app: ASGIApp,
        names: Optional[Collection[str]],
        paths: Collection[str],
        metrics: Metrics,
    ) -> None:
        self._app, self._names, self._paths, self._metrics = app, names, paths, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, status, body = time.perf_counter(), 500, _Body(scope, receive)

        async def counted_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *SECURITY_HEADERS]
                if status >= FIRST_ERROR:
                    await body.drop_rest()
            await send(message)

        try:
            app = self._app if self._is_named_right(scope) else _WRONG_NAME
            await app(scope, body.receive, counted_send)
        finally:
            path = scope["path"] if scope["path"] in self._paths else OTHER
            self._metrics.requests.labels(path, status).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - begin)

    def _is_named_right(self, scope: Scope) -> bool:
        if self._names is None:
            return True
        name = Headers(scope=scope).get("host", "").lower()
        without_port = name if name.endswith("]") else name.rpartition(":")[0] or name
        return without_port in self._names


class _Body:
    """The body of a request, of which what has not been read can be dropped."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive, self._has_ended, self._read = receive, False, 0
        # This client sends its body after the first reading of it: it needs not to be read.
        self._waits = "expect" in Headers(scope=scope)

    async def receive(self) -> Message:
        message = await self._receive()
        self._has_ended = not message.get("more_body", False)
        self._read += len(message.get("body", b""))
        return message

    async def drop_rest(self) -> None:
        if self._waits and not self._read:
            return
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._drop(), SECONDS_TO_DROP)

    async def _drop(self) -> None:
        end = self._read + DROPPED_BYTES
        while not self._has_ended and self._read < end:
            await self.receive()


_WRONG_NAME = JSONResponse({"detail": "this name is not one of the server"}, status_code=421)
