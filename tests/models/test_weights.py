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
from fashionai.models import weights
from fashionai.models.weights import zoo_weights

NAME = "mobilenet0.25"
CONTENT = b"parameters of a network"
SHA1 = hashlib.sha1(CONTENT).hexdigest()
FILE = f"{NAME}-{SHA1[:8]}"


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


def cached(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache").rglob("*") if path.is_file())


def test_a_download_is_verified_kept_and_used_again(mirror: Mirror, tmp_path: Path) -> None:
    mirror.answer = (200, archive(f"{FILE}.params", CONTENT))
    file = zoo_weights(NAME)
    assert file == tmp_path / "cache/models" / f"{FILE}.params"
    assert file.read_bytes() == CONTENT
    assert zoo_weights(NAME) == file
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
        zoo_weights(NAME)
    assert reason in str(error.value)
    assert mirror.url in str(error.value)
    assert cached(tmp_path) == []


def test_without_a_host_the_line_says_what_was_tried_and_what_to_do(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MXNET_GLUON_REPO", "http://127.0.0.1:9/")
    with pytest.raises(FashionAIError) as error:
        zoo_weights(NAME)
    message = str(error.value)
    assert "cannot connect" in message
    assert "\n" not in message
    for way_out in ("model.pretrained", ".params", "MXNET_GLUON_REPO", "model.pretrained=false"):
        assert way_out in message


def test_a_damaged_file_in_the_cache_is_not_used(mirror: Mirror, tmp_path: Path) -> None:
    file = tmp_path / "cache/models" / f"{FILE}.params"
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT[:-1])
    with pytest.raises(FashionAIError, match="the file is damaged"):
        zoo_weights(NAME)


def test_a_network_without_published_weights_is_said_to_have_none() -> None:
    with pytest.raises(FashionAIError, match="no pretrained weights of small_cnn were published"):
        weights.zoo_weights("small_cnn")
