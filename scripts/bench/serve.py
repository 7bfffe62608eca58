"""Load test of ``fashionai serve`` beside direct prediction, and of its end under load.

    python scripts/bench/serve.py --seconds 10

The server runs as a process of its own with one crop per image. Clients are threads of this
process: each sends a request, waits for its answer and sends the next. They share the cores with
the server, which direct prediction has for itself; that is measured before and after the server,
and the mean counts. Speeds are worth something on an idle machine alone; the CPU time per image, of
predict and of the server with its decoders, depends less on what else the machine does. At last the
server is stopped while all clients send: each request has to be answered or refused. Prints a table
for docs/performance.md; takes two minutes on an idle machine with two cores.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from measuring.images import make_images
from measuring.paths import CACHE, ROOT
from measuring.runs import fashionai_command, trained_run

# Clients, and images per request. A client that sends one image and waits lets nothing be decoded
# while it is computed, which predict always does: several images per request do.
LOADS = ((1, 1), (1, 16), (8, 1), (64, 1))
MOST_CLIENTS = 64
IMAGES = 64
ENGINE = "onnx"
BOUNDARY = "a-boundary-between-images"
ANSWERED, REFUSED = 200, 503
# What send returns where no answer came: nobody listens, or the connection broke.
NOT_CONNECTED, BROKEN = 0, -1


class Load(NamedTuple):
    """What clients saw: the seconds of each answered request, and how many were refused.

    ``images`` is the number of images per request.
    """

    clients: int
    images: int
    seconds: list[float]
    refused: int
    lost: int
    wall_seconds: float
    cpu_seconds: float

    def row(self, direct: float) -> str:
        """The line of the table; ``direct`` is the speed of predict in images per second."""
        images = self.images * len(self.seconds)
        rate = images / self.wall_seconds
        middle, most, worst = 1000 * np.quantile(self.seconds, [0.5, 0.95, 0.99])
        cells = [
            f"{rate:.1f}",
            f"{rate / direct:.2f}",
            f"{1000 * self.cpu_seconds / images:.1f}",
            *(f"{e:.0f}" for e in (middle, most, worst)),
        ]
        load = f"| {self.clients} | {self.images} "
        return f"{load}| {' | '.join(cells)} | {self.refused} | {self.lost} |"


def main() -> None:
    """Measure predict, then the server with each number of clients, then its end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="resnet18_v2")
    parser.add_argument("--seconds", type=float, default=10.0, help="per number of clients")
    parser.add_argument("--cache", type=Path, default=CACHE)
    given = parser.parse_args()
    run, files = trained_run(given.cache.resolve(), given.network), make_images(given.cache, IMAGES)
    before = direct_speed(run, files)
    process, port = start(run)
    try:
        load(process.pid, port, files, 8, 1, 2.0)
        loads = [load(process.pid, port, files, *each, given.seconds) for each in LOADS]
        end = the_end(process, port, files)
    finally:
        process.kill()
    after = direct_speed(run, files)
    print(
        f"predict, engine {ENGINE}, 1 crop: {before.rate:.1f} images/s before, {after.rate:.1f} "
        f"after, {before.cpu_ms:.1f} and {after.cpu_ms:.1f} ms of CPU time per image"
    )
    print(
        "| clients | images per request | images/s | share of `predict` | CPU ms per image "
        "| p50 ms | p95 ms | p99 ms | 503 | lost |"
    )
    print("|" + " ---: |" * 10)
    for each in loads:
        print(each.row((before.rate + after.rate) / 2))
    print(end)


class Direct(NamedTuple):
    """What predict needs: images per second, and milliseconds of CPU time per image."""

    rate: float
    cpu_ms: float


def direct_speed(run: Path, files: list[Path]) -> Direct:
    """The speed of predict, in a process of its own while there is no server."""
    program = f"""
import sys, time
from pathlib import Path
from fashionai.engines.opening import open_engine
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.predictions.predict import predict_with_engine
from fashionai.runs import Run
run = Run.open(Path(sys.argv[1]))
engine = open_engine(run, [import_mxnet().cpu()], {ENGINE!r})
files = [Path(name) for name in sys.argv[2:]]
predict_with_engine(engine, run, files, crops=1, batch_size=16)
begin, cpu = time.perf_counter(), time.process_time()
for _ in range(3):
    predict_with_engine(engine, run, files, crops=1, batch_size=16)
images = 3 * len(files)
print(images / (time.perf_counter() - begin), 1000 * (time.process_time() - cpu) / images)
"""
    command = [sys.executable, "-c", program, str(run), *map(str, files)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    return Direct(*map(float, done.stdout.split()[-2:]))


def environment() -> dict[str, str]:
    """With this checkout as the one that is run."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def start(run: Path) -> tuple[subprocess.Popen[str], int]:
    """The server, once it answers, and its port."""
    options = ("--port", 0, "--crops", 1, "--engine", ENGINE)
    process = subprocess.Popen(
        fashionai_command("serve", "--run", run, *options),
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        if found:
            return process, int(found.group(1))
    sys.exit("the server has not started; its error is printed above")


def bodies_of(files: list[Path], images: int) -> list[bytes]:
    """The bodies of requests with so many images each."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="images"; filename="x.jpg"\r\n\r\n'
    )
    parts = [head.encode() + file.read_bytes() + b"\r\n" for file in files]
    end = f"--{BOUNDARY}--\r\n".encode()
    return [b"".join(parts[at : at + images]) + end for at in range(0, len(parts), images)]


def load(pid: int, port: int, files: list[Path], clients: int, images: int, seconds: float) -> Load:
    """Send requests with so many images each from so many clients for so long.

    ``pid`` is the server's process.
    """
    bodies = bodies_of(files, images)
    times: list[float] = []
    others: list[int] = []
    cpu = cpu_seconds(pid)
    begin = time.perf_counter()
    end = begin + seconds

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        at = number
        while time.perf_counter() < end:
            sent, status = time.perf_counter(), send(connection, bodies[at % len(bodies)])
            at += clients
            if status == ANSWERED:
                times.append(time.perf_counter() - sent)
            else:
                others.append(status)

    in_threads(client, clients)
    refused = others.count(REFUSED)
    wall_seconds, cpu = time.perf_counter() - begin, cpu_seconds(pid) - cpu
    return Load(clients, images, times, refused, len(others) - refused, wall_seconds, cpu)


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process and of its children so far."""
    children = " ".join(file.read_text() for file in Path("/proc").glob(f"{pid}/task/*/children"))
    ticks = 0
    for each in (pid, *children.split()):
        # After the name in brackets: times in user mode and in the kernel are the 12th and 13th.
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def in_threads(client: object, clients: int) -> None:
    """Run so many clients until all of them have ended."""
    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def send(connection: http.client.HTTPConnection, body: bytes) -> int:
    """The status of the answer, or why there is none."""
    try:
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        connection.request("POST", "/predict?top=1", body, headers)
        response = connection.getresponse()
        response.read()
        return response.status
    except ConnectionRefusedError:
        return NOT_CONNECTED
    except (OSError, http.client.HTTPException):
        connection.close()
        return BROKEN


def the_end(process: subprocess.Popen[str], port: int, files: list[Path]) -> str:
    """Stop the server while all clients send, and tell what became of their requests."""
    statuses: list[int] = []
    bodies = bodies_of(files, 1)

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while True:
            statuses.append(send(connection, bodies[number % len(bodies)]))
            if statuses[-1] in (NOT_CONNECTED, BROKEN):
                return

    stopping = threading.Timer(2.0, process.send_signal, [signal.SIGTERM])
    stopping.start()
    in_threads(client, MOST_CLIENTS)
    counts = {status: statuses.count(status) for status in sorted(set(statuses))}
    refused, broken = counts.pop(NOT_CONNECTED, 0), counts.pop(BROKEN, 0)
    return (
        f"stopped under load: {counts} by status, {refused} connections refused, "
        f"{broken} broken, exit code {process.wait(60)}"
    )


if __name__ == "__main__":
    main()
