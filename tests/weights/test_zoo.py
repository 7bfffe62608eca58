"""The zoo's weights: cache, mirror, and every way in which a download goes wrong."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fashionai.errors import FashionAIError
from fashionai.weights import downloading
from fashionai.weights.sources import Fetched, Zoo

NAME = "mobilenet0.25"
CONTENT = b"parameters of a network"
SHA1 = hashlib.sha1(CONTENT).hexdigest()
FILE = f"{NAME}-9f83e440"  # the zoo names it after the published hash


def archive(member: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as handle:
        handle.writestr(member, content)
    return buffer.getvalue()


class Mirror:
    """A server on loopback that answers one path with what the test puts there."""

    def __init__(self) -> None:
        self.answer: tuple[int, bytes] = (404, b"")
        self.asked: list[str] = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.asked.append(self.path)
                status, body = mirror.answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Mirror]:
    from mxnet.gluon.model_zoo import model_store

    mirror = Mirror()
    thread = threading.Thread(target=mirror.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("MXNET_GLUON_REPO", mirror.url)
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(model_store._model_sha1, NAME, SHA1)
    yield mirror
    mirror.server.shutdown()
    thread.join(timeout=10)
    mirror.server.server_close()


def zoo_weights(tmp_path: Path) -> Fetched:
    return Zoo().fetch(NAME, tmp_path / "cache", lambda received: None)


def cached(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache").rglob("*") if path.is_file())


def test_a_download_is_verified_kept_and_used_again(mirror: Mirror, tmp_path: Path) -> None:
    mirror.answer = (200, archive(f"{FILE}.params", CONTENT))
    fetched = zoo_weights(tmp_path)
    assert fetched.file.read_bytes() == CONTENT
    assert fetched.source == f"zoo/{FILE}"
    assert mirror.asked == [f"/gluon/models/{FILE}.zip"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((404, b"gone"), "HTTP 404"),
        ((200, b"<html>moved</html>"), "not the expected archive"),
        ((200, archive(f"{FILE}.params", CONTENT)[:-30]), "not the expected archive"),
        ((200, archive("other.params", CONTENT)), "not the expected archive"),
        ((200, archive(f"{FILE}.params", CONTENT + b"!")), f"SHA-1 of {FILE}.params is not"),
    ],
)
def test_what_is_not_right_is_named_and_leaves_nothing(
    mirror: Mirror, tmp_path: Path, answer: tuple[int, bytes], reason: str
) -> None:
    mirror.answer = answer
    with pytest.raises(FashionAIError) as error:
        zoo_weights(tmp_path)
    assert reason in str(error.value)
    assert mirror.url in str(error.value)
    assert cached(tmp_path) == []


def test_without_a_host_the_line_says_so(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(downloading, "FIRST_PAUSE_SECONDS", 0)
    monkeypatch.setenv("MXNET_GLUON_REPO", "http://127.0.0.1:9/")
    with pytest.raises(FashionAIError, match=r"http://127.0.0.1:9/gluon/models/.*: cannot connect"):
        zoo_weights(tmp_path)


def test_a_network_without_published_weights_is_said_to_have_none(tmp_path: Path) -> None:
    assert Zoo().offers("small_cnn") == ""
    with pytest.raises(FashionAIError, match="no pretrained weights of small_cnn were published"):
        Zoo().fetch("small_cnn", tmp_path, lambda received: None)
