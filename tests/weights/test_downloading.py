"""Downloads that break off and go on, and what is left of those that fail."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest

from fashionai.errors import WeightsError
from fashionai.weights import downloading
from fashionai.weights.downloading import Digest, download
from tests.support.image_server import (
    ImageServer,
    Page,
    content,
    in_turn,
    redirect,
    respond,
    silence,
    status,
)
from tests.support.weights import in_parts, stalling

BODY = bytes(range(256)) * 1000
DIGEST = Digest("sha256", hashlib.sha256(BODY).hexdigest())


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(downloading, "PART_BYTES", 100)
    return tmp_path / "downloads/file.pth"


def fetch(
    server: ImageServer, target: Path, page: Page, digest: Optional[Digest] = DIGEST
) -> list[Optional[str]]:
    """Download the page; returns the ranges that were asked for."""
    server.pages["/a"] = page
    server.requests.clear()
    download(f"{server.url}/a", target, digest, lambda received: None)
    assert target.read_bytes() == BODY
    assert [file.name for file in target.parent.iterdir()] == [target.name]
    return [headers.get("Range") for _, headers in server.requests]


def reason(server: ImageServer, target: Path, page: Page, digest: Optional[Digest] = DIGEST) -> str:
    """Why a download fails; the message opens with the URL, and there is no file."""
    server.pages["/a"] = page
    with pytest.raises(WeightsError) as refused:
        download(f"{server.url}/a", target, digest, lambda received: None)
    assert not target.exists()
    opening, _, message = str(refused.value).partition("/a: ")
    assert opening == server.url
    return message


def left(target: Path) -> Optional[bytes]:
    """What is kept of a download that failed; nothing else is."""
    files = list(target.parent.iterdir())
    assert {file.name for file in files} <= {"file.pth.part"}
    return files[0].read_bytes() if files else None


@pytest.mark.parametrize("digest", [DIGEST, Digest("sha256", DIGEST.digits[:8].upper()), None])
def test_a_file_comes_whole_and_is_counted(
    server: ImageServer, target: Path, digest: Optional[Digest]
) -> None:
    server.pages["/a"] = content(BODY)
    received: list[int] = []
    download(f"{server.url}/a", target, digest, received.append)
    assert target.read_bytes() == BODY
    assert sum(received) == len(BODY)
    assert server.requests[0][1]["Accept-Encoding"] == "identity"


def test_a_transfer_goes_on_where_it_broke(server: ImageServer, target: Path) -> None:
    page = in_turn(in_parts(BODY, 1000), in_parts(BODY, 500), in_parts(BODY))
    assert fetch(server, target, page) == [None, "bytes=1000-", "bytes=1500-"]


def test_without_a_digest_it_does_so_too(server: ImageServer, target: Path) -> None:
    page = in_turn(in_parts(BODY, 1000), in_parts(BODY))
    assert fetch(server, target, page, None) == [None, "bytes=1000-"]


OLDER = b"an older version of the file" * 9000
MODIFIED = {"Last-Modified": "Wed, 01 Jan 2020 00:00:00 GMT"}


def test_a_file_that_changes_meanwhile_is_no_mixture(server: ImageServer, target: Path) -> None:
    page = in_turn(in_parts(OLDER, 1000), in_parts(BODY, 500), in_parts(BODY))
    assert fetch(server, target, page, None) == [None, "bytes=1000-", "bytes=500-"]
    conditions = [headers.get("If-Range") for _, headers in server.requests]
    assert conditions == [
        None,
        *(f'"{hashlib.sha256(body).hexdigest()}"' for body in (OLDER, BODY)),
    ]


def test_a_file_that_changes_to_the_length_that_was_received(
    server: ImageServer, target: Path
) -> None:
    """A server that ignores If-Range says 416, and that is not the end of the same file."""
    gone = status(416, Content_Range="bytes */1000")
    page = in_turn(in_parts(OLDER, 1000), gone, in_parts(BODY))
    assert fetch(server, target, page, None) == [None, "bytes=1000-", None]


def test_a_server_that_ignores_the_condition(server: ImageServer, target: Path) -> None:
    rest = {"Content-Range": f"bytes 1000-{len(BODY) - 1}/{len(BODY)}", "ETag": '"new"'}
    page = in_turn(in_parts(OLDER, 1000), respond(206, rest, BODY[1000:]), in_parts(BODY))
    assert fetch(server, target, page, None) == [None, "bytes=1000-", None]


@pytest.mark.parametrize(
    ("version", "resumes"),
    [
        (MODIFIED, True),
        ({}, False),
        ({"ETag": 'W/"1"'}, False),
        ({"ETag": 'W/"1"', **MODIFIED}, False),
        ({"Last-Modified": "yesterday"}, False),
        ({"Last-Modified": "Tue, 01 Jan 2999 00:00:00 GMT"}, False),
        ({"Last-Modified": "Wed, 01 Jan 2020 00:00:00 -0000"}, False),
    ],
)
def test_only_a_version_that_is_identified_is_resumed(
    server: ImageServer, target: Path, version: dict[str, str], resumes: bool
) -> None:
    page = in_turn(in_parts(BODY, 1000, version), in_parts(BODY, None, version))
    assert fetch(server, target, page, None) == [None, "bytes=1000-" if resumes else None]


def test_a_complete_file_is_not_downloaded_again(server: ImageServer, target: Path) -> None:
    """Killed between the download and the import."""
    target.parent.mkdir()
    target.write_bytes(BODY)
    assert fetch(server, target, in_parts(BODY)) == []
    target.write_bytes(BODY + b"more")
    assert fetch(server, target, in_parts(BODY)) == [None]


def test_the_next_call_goes_on_where_the_last_one_ended(server: ImageServer, target: Path) -> None:
    assert reason(server, target, in_parts(BODY, 1000)) == "the connection broke off"
    assert left(target) == BODY[:3000]
    assert fetch(server, target, in_parts(BODY)) == ["bytes=3000-"]


def test_without_a_digest_the_next_call_begins_anew(server: ImageServer, target: Path) -> None:
    reason(server, target, in_parts(b"another file" * 1000, 1000), None)
    assert fetch(server, target, in_parts(BODY), None) == [None]


def test_a_server_that_sends_all_of_it_again(server: ImageServer, target: Path) -> None:
    page = in_turn(in_parts(BODY, 1000), content(BODY))
    assert fetch(server, target, page) == [None, "bytes=1000-"]


@pytest.mark.parametrize("length", [1, 5000, len(BODY)])
def test_what_is_left_of_another_file_is_thrown_away(
    server: ImageServer, target: Path, length: int
) -> None:
    target.parent.mkdir()
    target.with_name("file.pth.part").write_bytes(bytes([1]) * length)
    assert fetch(server, target, in_parts(BODY)) == [f"bytes={length}-", None]


def test_what_is_left_of_a_larger_file_is_thrown_away(server: ImageServer, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("file.pth.part").write_bytes(BODY + b"more")
    assert fetch(server, target, in_parts(BODY)) == [f"bytes={len(BODY) + 4}-", None]


def test_a_complete_part_needs_no_more_than_its_name(server: ImageServer, target: Path) -> None:
    """Killed between the last byte and the renaming: the server says 416 and the size."""
    target.parent.mkdir()
    target.with_name("file.pth.part").write_bytes(BODY)
    assert fetch(server, target, in_parts(BODY)) == [f"bytes={len(BODY)}-"]


def test_another_part_than_the_requested_one(server: ImageServer, target: Path) -> None:
    wrong = respond(206, {"Content-Range": f"bytes 0-{len(BODY) - 1}/{len(BODY)}"}, BODY)
    page = in_turn(in_parts(BODY, 1000), wrong, in_parts(BODY))
    assert fetch(server, target, page) == [None, "bytes=1000-", None]


def test_errors_of_the_server_pass(server: ImageServer, target: Path) -> None:
    assert fetch(server, target, in_turn(status(503), status(429), content(BODY))) == [None] * 3
    target.unlink()
    assert reason(server, target, status(500)) == "HTTP 500"
    assert left(target) is None


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_other_errors_do_not(server: ImageServer, target: Path, code: int) -> None:
    assert reason(server, target, status(code)) == f"HTTP {code}"
    assert len(server.requests) == 1
    assert left(target) is None


def test_a_wrong_hash_leaves_nothing(server: ImageServer, target: Path) -> None:
    message = f"does not have SHA-256 {DIGEST.digits}; the file was deleted"
    assert reason(server, target, content(BODY[:-1] + b"!")) == message
    assert left(target) is None


def test_redirects_are_followed(server: ImageServer, target: Path) -> None:
    server.pages["/b"] = redirect("c/d")  # relative to /b
    server.pages["/c/d"] = redirect(f"{server.url}/e")
    server.pages["/e"] = in_turn(in_parts(BODY, 1000), in_parts(BODY))
    ranges = fetch(server, target, redirect("/b"))
    assert server.paths == ["/a", "/b", "/c/d", "/e"] * 2
    assert ranges == [None] * 4 + ["bytes=1000-"] * 4
    target.unlink()
    assert reason(server, target, redirect("/a")) == "too many redirects"


def test_a_slow_server(server: ImageServer, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloading, "READ_SECONDS", 0.2)
    begun = time.monotonic()
    assert reason(server, target, silence) == "no data for 0.2 s"
    assert left(target) is None
    assert fetch(server, target, in_turn(stalling(BODY), in_parts(BODY))) == [
        None,
        f"bytes={len(BODY) // 2}-",
    ]
    target.unlink()
    assert reason(server, target, stalling(BODY)) == "no data for 0.2 s"
    assert left(target) == BODY[: len(BODY) // 2]
    assert time.monotonic() - begun < 5


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port whose queue is full: the connection is neither accepted nor refused."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]
        for client in waiting:
            client.close()


def test_a_host_that_cannot_be_reached_is_tried_once(
    target: Path, full_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(downloading, "FIRST_PAUSE_SECONDS", 10)
    begun = time.monotonic()
    for url in (
        f"http://127.0.0.1:{full_port}/a",
        "http://127.0.0.1:9/a",
        "http://nowhere.invalid/a",
    ):
        with pytest.raises(WeightsError, match=f"^{url}: cannot connect$"):
            download(url, target, DIGEST, lambda received: None)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("url", ["covers.example/a", "ftp://covers.example/a", "http://[::1/a"])
def test_an_address_that_is_none(target: Path, url: str) -> None:
    with pytest.raises(WeightsError) as refused:
        download(url, target, None, lambda received: None)
    assert str(refused.value) == f"{url}: not a valid URL"
