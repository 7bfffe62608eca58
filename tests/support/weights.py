"""Publishers of weights as pages of a server, and what the cache keeps of them."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Optional

import pytest

from tests.support import image_server
from tests.support.commands import fashionai
from tests.support.image_server import ImageServer, Page, content, respond, serve, status

MODEL = "resnet18_v1b"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Where the hub has that network.
HUB_PATH = "/timm/resnet18.a1_in1k/resolve/main/model.safetensors"


class _Handler(image_server._Handler):
    def do_HEAD(self) -> None:  # noqa: N802 - http.server's name
        """Pages of HEAD are those whose path begins so."""
        self.path = f"HEAD {self.path}"
        self.do_GET()


@contextlib.contextmanager
def serve_weights() -> Iterator[ImageServer]:
    with serve() as server:
        server.RequestHandlerClass = _Handler
        yield server


def in_parts(
    body: bytes, break_after: Optional[int] = None, version: Optional[Mapping[str, str]] = None
) -> Page:
    """A file of which the end can be asked for; the connection breaks after so many bytes.

    The headers ``version`` identify it, an ETag by default. If-Range is observed.
    """
    identity = {"ETag": f'"{hashlib.sha256(body).hexdigest()}"'} if version is None else version

    def page(handler: Any) -> None:
        condition = handler.headers.get("If-Range")
        asked = handler.headers.get("Range")
        if condition is not None and condition not in identity.values():
            asked = None
        start = int(asked[len("bytes=") : -1]) if asked else 0
        if start >= len(body) > 0:
            return status(416, Content_Range=f"bytes */{len(body)}")(handler)
        rest = body[start:]
        headers = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if asked else {}
        headers.update(identity)
        respond(206 if asked else 200, headers, rest[:break_after], len(rest))(handler)

    return page


def stalling(body: bytes) -> Page:
    """Half of a file, and then nothing more."""

    def page(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 2])
        handler.wfile.flush()
        handler.server.closing.wait()

    return page


def publish_on_hub(server: ImageServer, body: bytes, file: Optional[Page] = None) -> None:
    """The hub tells the SHA-256 of the file and sends on to where it is."""
    digits = hashlib.sha256(body).hexdigest()
    there = {"Location": f"{server.url}/large/file", "X-Linked-Etag": f'"{digits}"'}
    server.pages[f"HEAD {HUB_PATH}"] = respond(302, there)
    server.pages[HUB_PATH] = respond(302, there)
    server.pages["/large/file"] = file or content(body)


def kept(home: Path) -> list[str]:
    """All files below the cache's folder but locks."""
    files = (path for path in (home / "weights").rglob("*") if path.is_file())
    return sorted(
        str(path.relative_to(home / "weights")) for path in files if path.suffix != ".lock"
    )


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What the command line says to something wrong: one line."""
    capsys.readouterr()
    assert fashionai("weights", *arguments) == 2
    output = capsys.readouterr().err
    assert output.startswith("Error: ")
    assert output.count("\n") == 1
    return output[len("Error: ") : -1]
