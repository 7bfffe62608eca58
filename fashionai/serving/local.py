"""A server for this machine alone: loopback, a free port, a token in the address, a polite stop.

Other users of the machine, and pages of other sites in the same browser, do not know the token.
"""

from __future__ import annotations

import contextlib
import importlib.util
import secrets
import socket
from typing import TYPE_CHECKING, Callable

from fashionai.errors import ConfigError, InstallationError

if TYPE_CHECKING:
    from fastapi import FastAPI

LOOPBACK = "127.0.0.1"
_LIBRARIES = ("fastapi", "uvicorn")
# Sent with every response: nothing of a page is stored, guessed or told to other sites.
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# How long requests that are being answered may take when the server is stopped, in seconds.
_GRACE = 3


def check_web_libraries(command: str) -> None:
    """InstallationError unless the libraries of the extra ``web`` are installed."""
    missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise InstallationError(
            f"{command}: {', '.join(missing)} not installed", "Run: pip install 'fashionai[web]'"
        )


def new_application(token: str) -> FastAPI:
    """An application without routes that answers requests to this machine alone.

    Its routes have paths that begin with ``/<token>/``; all other paths are not found.
    """
    from fastapi import FastAPI, Request, Response
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    application = FastAPI(openapi_url=None, root_path="")
    application.state.token = token
    # Another site's name that leads to this machine (DNS rebinding) is refused.
    application.add_middleware(TrustedHostMiddleware, allowed_hosts=[LOOPBACK, "localhost"])

    @application.middleware("http")
    async def add_headers(request: Request, call_next: Callable) -> Response:
        response: Response = await call_next(request)
        response.headers.update(_HEADERS)
        return response

    return application


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(16)


class LocalServer:
    """Serves an application of new_application on loopback.

    Args:
        application: The application.
        port: Port to listen on; 0 for a free one.

    Raises:
        ConfigError: Another program listens on the port.
    """

    def __init__(self, application: FastAPI, port: int = 0) -> None:
        import uvicorn

        try:
            self._socket = socket.create_server((LOOPBACK, port))
        except OSError as error:
            raise ConfigError(f"--port {port}: {error.strerror}", "Name another") from None
        self.address = (
            f"http://{LOOPBACK}:{self._socket.getsockname()[1]}/{application.state.token}/"
        )
        self._server = uvicorn.Server(
            uvicorn.Config(
                application,
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=_GRACE,
            )
        )

    def run(self) -> None:
        """Answer requests until ``stop``, Ctrl-C or SIGTERM; running requests are finished."""
        # uvicorn raises Ctrl-C again when it has stopped. Here that is the usual end.
        with contextlib.suppress(KeyboardInterrupt), self._socket:
            self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Make ``run`` return, from another thread."""
        self._server.should_exit = True
