"""Send malformed requests to ``fashionai serve``, and watch its answers and its memory.

    python scripts/campaigns/serve.py --run runs/skirt --cases 10000 --seed 1

Each case is one connection to a server of its own on this machine: a request that is mutated,
truncated, made of odd parts, or no HTTP at all. A case fails if its answer has a status of 500 or
above other than 503, or if the server does not answer a good request afterwards. The campaign also
fails if the memory of the server grows by more than a tenth after the first fifth of the cases.
"""

from __future__ import annotations

import argparse
import random
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Optional

import cv2
import numpy as np

BOUNDARY = "x-boundary"
TIMEOUT = 20.0
# Good requests between the bad ones, to see that the server still works.
EVERY = 200
GROWTH = 1.1
PATHS = ("/predict", "/predict?top=1", "/model", "/health", "/metrics", "/", "/openapi.json")
ODD_PATHS = ("/%00", "/../../etc/passwd", "/predict/", "*", "/predict?top=" + "9" * 400, "//", "/é")
METHODS = ("POST", "GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "G", "post")
ODD_HEADERS = (
    "Content-Length: -1",
    "Content-Length: 99999999999999999999",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
    "Content-Type: multipart/form-data; boundary=",
    "Content-Type: multipart/form-data; boundary=" + "b" * 300,
    "Content-Type: multipart/form-data; boundary=\xff\xfe",
    "Content-Type: multipart/form-data; charset=nonsense; boundary=" + BOUNDARY,
    "Content-Type: application/x-www-form-urlencoded",
    "Content-Encoding: gzip",
    "Expect: 100-continue",
    "Authorization: Bearer \xe9",
    "Host: ",
    "Host: evil.example",
    "X-Long: " + "a" * 70_000,
    "Upgrade: websocket",
    "Range: bytes=5-1",
)


def photograph() -> bytes:
    """A small JPEG."""
    pixels = np.random.default_rng(1).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    return bytes(cv2.imencode(".jpg", pixels)[1])


IMAGE = photograph()


def form(*parts: tuple[str, bytes]) -> bytes:
    """A form of parts: the lines of their headers, and their contents."""
    written = b"".join(
        f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode("utf-8", "surrogateescape") + content + b"\r\n"
        for head, content in parts
    )
    return written + f"--{BOUNDARY}--\r\n".encode()


def file_part(content: bytes, name: str = "x.jpg") -> tuple[str, bytes]:
    """A part that holds a file."""
    return f'Content-Disposition: form-data; name="images"; filename="{name}"', content


def request(
    body: bytes,
    *headers: str,
    method: str = "POST",
    path: str = "/predict",
    length: Optional[int] = None,
) -> bytes:
    """A request; ``length`` is a wrong Content-Length."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Connection: close",
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}",
        f"Content-Length: {len(body) if length is None else length}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


GOOD = request(form(file_part(IMAGE)))


def mutated_image(rng: random.Random) -> bytes:
    """A whole request with an image of which bytes are changed or missing."""
    data = bytearray(IMAGE)
    for _ in range(rng.randint(1, 30)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return request(form(file_part(bytes(data[: rng.randint(0, len(data))]))))


def mutated_body(rng: random.Random) -> bytes:
    """A form of which bytes are changed."""
    body = bytearray(form(file_part(IMAGE)))
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(min(200, len(body))) if rng.random() < 0.7 else rng.randrange(len(body))
        body[at] = rng.randrange(256)
    return request(bytes(body))


def odd_form(rng: random.Random) -> bytes:
    """A form whose parts are unusual: many, empty, with odd names, fields in place of files."""
    odd = [
        file_part(b""),
        file_part(IMAGE, "../" * 20 + "x\0\udcff.jpg"),
        file_part(IMAGE, 'a"b'),
        file_part(bytes(rng.randrange(3000))),
        ('Content-Disposition: form-data; name="images"', b"text"),
        ("Content-Disposition: form-data", b"no name"),
        ("Content-Disposition: attachment", IMAGE),
        ("X: y", b"no disposition"),
        ("Content-Disposition: form-data; name=\"a\"; filename*=utf-8''%ff", IMAGE),
        ("Content-Type: image/jpeg", IMAGE),
    ]
    return request(form(*(rng.choice(odd) for _ in range(rng.choice([0, 1, 2, 5, 90])))))


def odd_request(rng: random.Random) -> bytes:
    """A request with an odd method, path or header."""
    path = rng.choice(PATHS + ODD_PATHS)
    headers = rng.sample(ODD_HEADERS, rng.choice([0, 1, 1, 2]))
    body = rng.choice([form(file_part(IMAGE)), b"", b"{}", rng.randbytes(50)])
    return request(body, *headers, method=rng.choice(METHODS), path=path)


def wrong_parameter(rng: random.Random) -> bytes:
    """A query that is no number of classes."""
    value = rng.choice(["", "-1", "0", "1e9", "a", "%00", "1&top=2", "9" * 30, "[]", "NaN"])
    return request(form(file_part(IMAGE)), path=f"/predict?top={value}")


def no_http(rng: random.Random) -> bytes:
    """Bytes that are no request, or a part of one."""
    return rng.choice(
        [rng.randbytes(rng.randint(1, 400)), GOOD[: rng.randrange(len(GOOD))], b"\r\n" * 30]
    )


def wrong_length(rng: random.Random) -> bytes:
    """A body that is shorter or longer than its header says."""
    body = form(file_part(IMAGE))
    return request(body, length=max(0, len(body) + rng.randint(-len(body), 50)))


KINDS: tuple[Callable[[random.Random], bytes], ...] = (
    *(mutated_image, mutated_body, odd_form, odd_request),
    *(wrong_parameter, no_http, wrong_length),
)
# Their requests may wait for bytes that never come: the client leaves after this time.
INCOMPLETE = {no_http: 0.05, wrong_length: 0.2, odd_request: 2.0, mutated_body: 2.0}


def status_of(port: int, data: bytes, seconds: float = TIMEOUT) -> int:
    """The status of the answer to a request; 0 without an answer."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
            connection.sendall(data)
            answer = connection.recv(65536)
    except OSError:
        return 0
    found = re.match(rb"HTTP/1\.1 (\d{3})", answer)
    return int(found.group(1)) if found else 0


def resident_bytes(process: int) -> int:
    """The memory that a process holds."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * 4096


def campaign(port: int, process: int, cases: int, seed: int) -> int:
    """Run the cases; returns the number of failures, which are printed."""
    failures, settled, begin = 0, 0, time.monotonic()
    counts: dict[int, int] = {}
    for case in range(cases):
        rng = random.Random(seed * 1_000_003 + case)
        kind = KINDS[case % len(KINDS)]
        status = status_of(port, kind(rng), INCOMPLETE.get(kind, TIMEOUT))
        counts[status] = counts.get(status, 0) + 1
        if status >= 500 and status != 503:
            failures += 1
            print(f"case {case} ({kind.__name__}): status {status}")
        if case % EVERY == 0 and status_of(port, GOOD) != 200:
            failures += 1
            print(f"case {case}: a good request fails after it")
        if case == cases // 5:
            settled = resident_bytes(process)
    last = resident_bytes(process)
    print(f"{cases} requests in {time.monotonic() - begin:.0f} s, seed {seed}")
    print(f"answers by status, 0 for none: {dict(sorted(counts.items()))}")
    print(f"memory after a fifth {settled / 1e6:.0f} MB, at the end {last / 1e6:.0f} MB")
    if last > GROWTH * settled:
        failures += 1
        print("the memory grows")
    return failures


def main() -> None:
    """Start a server, run the campaign and stop the server."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    options = ["--run", str(given.run), "--port", "0", "--crops", "1", "--engine", "gluon"]
    command = [sys.executable, "-u", "-m", "fashionai", "serve", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    ports = (re.search(r":(\d+)/ in a browser", line) for line in process.stdout)
    port = next((int(found.group(1)) for found in ports if found), None)
    if port is None:
        sys.exit("the server has not started; its error is printed above")
    try:
        failures = campaign(port, process.pid, given.cases, given.seed)
        process.send_signal(signal.SIGTERM)
        if process.wait(60):
            failures += 1
            print(f"the server ended with {process.returncode}")
    finally:
        process.kill()
    print(f"{failures} failures")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
