"""What is asked of every request, and counted of every answer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fashionai.serving.metrics import Metrics

OTHER = "other"
FIRST_ERROR = 400  # the first status code of an error
# So much of the body of a refused request is read and dropped, and for so long: most clients read
# an answer only after they have sent everything, and would report a broken connection.
DROPPED_BYTES, SECONDS_TO_DROP = 256_000_000, 10.0


class Gate:
    """Counts all answers by path, and reads what a refused request still sends."""

    def __init__(self, app: ASGIApp, paths: Collection[str], metrics: Metrics) -> None:
        self._app, self._paths, self._metrics = app, paths, metrics

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
                if status >= FIRST_ERROR:
                    await body.drop_rest()
            await send(message)

        try:
            await self._app(scope, body.receive, counted_send)
        finally:
            path = scope["path"] if scope["path"] in self._paths else OTHER
            self._metrics.requests.labels(path, status).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - begin)


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
