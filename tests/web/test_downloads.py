"""Downloads from a server that misbehaves: what is tried again, and what is cut."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
import tracemalloc
import zlib
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest

from fashionai.errors import DataError
from fashionai.web.downloads import DownloadLimits, fetch_image_bytes
from tests.support.image_server import (
    ImageServer,
    Network,
    content,
    endless,
    endless_headers,
    in_turn,
    redirect,
    respond,
    silence,
    status,
)

BODY = bytes(range(256)) * 400
LOCAL = DownloadLimits(allow_private=True, retries=0)


def fetch(url: str, limits: DownloadLimits, sleeps: Optional[list[float]] = None) -> bytes:
    slept: list[float] = [] if sleeps is None else sleeps
    return fetch_image_bytes(url, limits, np.random.default_rng(0), slept.append)


def reason(url: str, limits: DownloadLimits, sleeps: Optional[list[float]] = None) -> str:
    """Why a URL is refused; the message opens with the URL."""
    with pytest.raises(DataError) as refused:
        fetch(url, limits, sleeps)
    opening, message = str(refused.value)[: len(url) + 2], str(refused.value)[len(url) + 2 :]
    assert opening == f"{url}: "
    return message


# What arrives.


def test_the_body_arrives_as_it_was_packed_or_not(server: ImageServer) -> None:
    chunked = (
        b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (BODY[:1000], BODY[1000:])) + b"0\r\n\r\n"
    )
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    packed = {"Content-Encoding": "gzip"}
    server.pages = {
        "/plain": content(BODY),
        "/gzip": respond(200, packed, gzip.compress(BODY)),
        "/deflate": respond(200, {"Content-Encoding": "deflate"}, zlib.compress(BODY)),
        "/chunked": lambda handler: handler.wfile.write(head + chunked),
        "/no-length": lambda handler: handler.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + BODY),
        "/empty": content(b""),
    }
    for path in ("/plain", "/gzip", "/deflate", "/chunked", "/no-length", "/plain#part"):
        assert fetch(server.url + path, LOCAL) == BODY, path
    assert fetch(server.url + "/empty", LOCAL) == b""


def test_no_password_of_this_machine_is_sent(
    server: ImageServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server.pages["/a"] = content(BODY, **{"Set-Cookie": "known=1"})
    fetch(server.url + "/a", LOCAL)
    fetch(server.url + "/a", LOCAL)
    for _, headers in server.requests:
        assert not {"authorization", "cookie", "proxy-authorization"} & {n.lower() for n in headers}
        assert headers["Accept-Encoding"] == "identity"


# What is tried again, and when.


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 204, 206, 304])
def test_other_status_codes_are_not_retried(server: ImageServer, code: int) -> None:
    server.pages["/a"] = status(code)
    assert reason(server.url + "/a", DownloadLimits(allow_private=True)) == f"HTTP {code}"
    assert len(server.requests) == 1


def test_errors_of_the_server_are_tried_again_after_doubling_pauses(server: ImageServer) -> None:
    server.pages["/a"] = in_turn(status(500), status(503), status(502), content(BODY))
    sleeps: list[float] = []
    assert fetch(server.url + "/a", DownloadLimits(allow_private=True), sleeps) == BODY
    assert len(server.requests) == 4
    for pause, middle in zip(sleeps, (0.5, 1, 2)):
        assert middle / 2 <= pause <= middle * 3 / 2
    assert len(sleeps) == 3


@pytest.mark.parametrize("retries", [0, 2])
def test_tries_end(server: ImageServer, retries: int) -> None:
    server.pages["/a"] = status(500)
    sleeps: list[float] = []
    limits = DownloadLimits(allow_private=True, retries=retries)
    assert reason(server.url + "/a", limits, sleeps) == "HTTP 500"
    assert (len(server.requests), len(sleeps)) == (retries + 1, retries)


def test_a_server_may_ask_for_a_pause_of_a_minute_at_most(server: ImageServer) -> None:
    in_20_seconds = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=20), usegmt=True)
    sleeps: list[float] = []
    no_dates = ("Fri, 99 Foo 2020 99:00:00 GMT", "Fri, 31 Dec 20999999999 23:59:59 GMT")
    for asked in ("7", in_20_seconds, "86400", "-5", "soon", *no_dates):
        server.pages["/a"] = in_turn(status(429, Retry_After=asked), content(BODY))
        fetch(server.url + "/a", DownloadLimits(allow_private=True), sleeps)
    assert sleeps[0] == 7
    assert 15 < sleeps[1] <= 20
    assert sleeps[2] == 60
    assert all(0.25 <= pause <= 0.75 for pause in sleeps[3:])


def test_failed_connections_are_tried_again(server: ImageServer, network: Network) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/a"
        sleeps: list[float] = []
        limits = DownloadLimits(allow_private=True, retries=2)
        assert reason(url, limits, sleeps) == "cannot connect to 127.0.0.1: Connection refused"
    assert len(sleeps) == 2
    assert reason("http://nowhere.example/a", limits).startswith("no address of nowhere.example")


def test_a_host_is_tried_at_each_of_its_addresses(server: ImageServer, network: Network) -> None:
    server.pages["/a"] = content(BODY)
    network.answers["two.example"] = [["127.0.0.2", "127.0.0.1"]]  # the server is on the second
    assert fetch(f"http://two.example:{server.server_port}/a", LOCAL) == BODY
    assert network.connected == ["127.0.0.2", "127.0.0.1"]


# How much is taken, and for how long.


def test_the_largest_body_is_taken_and_one_more_byte_is_not(server: ImageServer) -> None:
    limits = DownloadLimits(most_bytes=2**20, allow_private=True, retries=0)
    in_gzip = {"Content-Encoding": "gzip"}
    # Blocks that unpack to nothing can go on for ever without unpacking to too much.
    gzip_header, empty_block = gzip.compress(b"")[:10], b"\x00\x00\x00\xff\xff"
    server.pages = {
        "/fits": content(bytes(2**20)),
        "/more": content(bytes(2**20 + 1)),
        "/packed-fits": respond(200, in_gzip, gzip.compress(bytes(2**20))),
        "/packed-more": respond(200, in_gzip, gzip.compress(bytes(2**20 + 1))),
        "/endless": endless(),
        "/nothing": endless(opening=gzip_header, part=empty_block * 9999, **in_gzip),
    }
    assert fetch(server.url + "/fits", limits) == bytes(2**20)
    assert fetch(server.url + "/packed-fits", limits) == bytes(2**20)
    for path in ("/more", "/packed-more", "/endless", "/nothing"):
        assert reason(server.url + path, limits) == "more than 1 MB", path


def test_a_bomb_takes_no_more_memory_than_the_limit(server: ImageServer) -> None:
    bomb = zlib.compress(bytes(2**27), 9)
    assert len(bomb) < 2**18
    server.pages["/bomb"] = respond(200, {"Content-Encoding": "deflate"}, bomb)
    limits = DownloadLimits(most_bytes=2**20, allow_private=True, retries=0)
    tracemalloc.start()
    assert reason(server.url + "/bomb", limits) == "more than 1 MB"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**23


def test_packing_that_cannot_be_unpacked_is_refused(server: ImageServer) -> None:
    server.pages = {
        "/br": respond(200, {"Content-Encoding": "br"}, BODY),
        "/twice": respond(200, {"Content-Encoding": "gzip, gzip"}, BODY),
        "/false": respond(200, {"Content-Encoding": "gzip"}, BODY),
    }
    for path in ("/br", "/twice"):
        assert (
            reason(server.url + path, LOCAL)
            == "unsupported content encoding, expected gzip, deflate or none"
        )
    assert reason(server.url + "/false", LOCAL) == "the content is not compressed as gzip"


def test_a_packed_body_without_its_end_is_tried_again(server: ImageServer) -> None:
    """The length that is announced is that of the part."""
    whole = gzip.compress(BODY)
    for number, body in enumerate((whole[: len(whole) // 2], whole[:-1], whole + whole[:-1])):
        server.pages[f"/{number}"] = content(body, **{"Content-Encoding": "gzip"})
        assert reason(f"{server.url}/{number}", LOCAL) == "the connection broke off"


def test_a_packed_body_may_have_several_members_and_padding(server: ImageServer) -> None:
    whole = gzip.compress(BODY)
    for path, body, expected in (("/two", whole + whole, BODY + BODY), ("/0", whole + b"\0", BODY)):
        server.pages[path] = content(body, **{"Content-Encoding": "gzip"})
        assert fetch(server.url + path, LOCAL) == expected


def test_a_body_shorter_than_announced_is_tried_again(server: ImageServer) -> None:
    server.pages["/a"] = in_turn(respond(200, {}, BODY[:-1], length=len(BODY)), content(BODY))
    assert fetch(server.url + "/a", DownloadLimits(allow_private=True, retries=1)) == BODY
    server.pages["/b"] = respond(200, {}, BODY[:-1], length=len(BODY))
    assert reason(server.url + "/b", LOCAL) == "the connection broke off"


@pytest.mark.parametrize(
    "page",
    [
        silence,
        endless_headers(0.05),
        endless(part=b"x", every=0.05),
        endless(302, part=b"x", every=0.05),
        respond(200, {}, BODY, length=len(BODY) * 2),
    ],
)
def test_responses_that_never_end_are_aborted(server: ImageServer, page: Any) -> None:
    server.pages["/a"] = page
    begun = time.monotonic()
    limits = DownloadLimits(seconds=0.4, allow_private=True, retries=1)
    assert reason(server.url + "/a", limits)
    assert time.monotonic() - begun < 3


def test_dripping_is_cut_by_the_clock_and_not_by_the_gaps(server: ImageServer) -> None:
    server.pages = {"/body": endless(part=b"x", every=0.05), "/head": endless_headers(0.05)}
    limits = DownloadLimits(seconds=0.4, allow_private=True, retries=0)
    for path in ("/body", "/head"):
        assert reason(server.url + path, limits) == "took longer than 0.4 s"


def test_a_handshake_that_never_ends_is_cut() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)
        left = threading.Event()

        def drip() -> None:
            with listening.accept()[0] as client:
                client.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 KB begins
                with contextlib.suppress(OSError):
                    while not left.wait(0.05):
                        client.send(b"x")

        threading.Thread(target=drip, daemon=True).start()
        begun = time.monotonic()
        limits = DownloadLimits(seconds=0.4, allow_private=True, retries=0)
        url = f"https://127.0.0.1:{listening.getsockname()[1]}/"
        assert reason(url, limits) == "took longer than 0.4 s"
        left.set()
    assert time.monotonic() - begun < 3


def test_no_thread_and_no_socket_stays(server: ImageServer) -> None:
    server.pages = {"/a": content(BODY), "/b": redirect("/a"), "/c": endless()}
    ours = set(threading.enumerate())
    files = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    for _ in range(5):
        fetch(server.url + "/b", LOCAL)
        reason(server.url + "/c", DownloadLimits(most_bytes=1000, allow_private=True, retries=0))
    for _ in range(100):
        time.sleep(0.02)
        timers = [t for t in threading.enumerate() if isinstance(t, threading.Timer)]
        if not set(timers) - ours:
            break
    assert not set(timers) - ours
    if files:
        assert len(list(Path("/proc/self/fd").iterdir())) <= files + 2
