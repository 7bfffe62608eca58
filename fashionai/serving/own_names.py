"""Protects the servers of this machine from the pages of other sites."""

from __future__ import annotations

from collections.abc import Collection
from typing import Optional

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The page needs nothing from other addresses, and belongs into no frame of another page.
SECURITY_HEADERS = (
    (b"content-security-policy", b"frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)


class OwnNames:
    """Refuses requests to other names of this machine, and adds SECURITY_HEADERS to all answers.

    Another web page can make a browser send requests to this machine, and read the answers once
    its own name leads here (DNS rebinding): such requests state a name that is not in ``names``.
    With None all names are right.
    """

    def __init__(self, app: ASGIApp, names: Optional[Collection[str]]) -> None:
        self._app, self._names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *SECURITY_HEADERS]
            await send(message)

        is_right = scope["type"] != "http" or self._is_named_right(scope)
        await (self._app if is_right else _WRONG_NAME)(scope, receive, send_with_headers)

    def _is_named_right(self, scope: Scope) -> bool:
        if self._names is None:
            return True
        name = Headers(scope=scope).get("host", "").lower()
        without_port = name if name.endswith("]") else name.rpartition(":")[0] or name
        return without_port in self._names


_WRONG_NAME = JSONResponse({"detail": "this name is not one of the server"}, status_code=421)
