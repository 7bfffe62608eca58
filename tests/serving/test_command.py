"""fashionai serve as a user runs it: what it refuses, and how it ends."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from fashionai.serving import start
from tests.support.commands import fashionai


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--queue", "9"], r"--queue 9: smaller than --max-images 64, .* Give --max-images 9 too"),
        (["--host", "0.0.0.0"], r"--host 0\.0\.0\.0: other machines can reach .*\. Give --token"),
        (["--token", "two words"], r"--token: expected letters, digits and signs of ASCII"),
        (["--calibrated"], r".*: not calibrated yet\. Run: fashionai calibrate"),
        (["--host", "192.0.2.1", "--token", "x"], r"192\.0\.2\.1:8000: \w.* Give a name or"),
        (["--host", "a..b", "--token", "x"], r"--host a\.\.b: not the name of a host\. Give a"),
        (["--host", "a" * 64, "--token", "x"], r"--host a{64}: not the name of a host\. Give a"),
        (["--host", "a.invalid", "--token", "x"], r"--host a\.invalid: \w.* Give a name or"),
    ],
)
def test_an_address_that_is_not_safe_or_not_there_is_refused(
    trained_cnn: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fashionai("serve", "--run", trained_cnn, *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(f"Error: {message}", line)


def test_a_port_in_use_is_refused(trained_cnn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert fashionai("serve", "--run", trained_cnn, "--port", port) == 2
    assert "Address already in use. Give another --port" in capsys.readouterr().err


@pytest.mark.parametrize("name", start.PACKAGES)
def test_a_missing_package_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda wanted: None if wanted == name else find(wanted)
    )
    assert fashionai("serve", "--run", "runs/skirt") == 2
    message = f"Error: {name} is not installed. Run: pip install 'fashionai[web]'\n"
    assert capsys.readouterr().err == message


@pytest.fixture
def process(trained_cnn: Path) -> Iterator[subprocess.Popen[str]]:
    command = ["serve", "--run", trained_cnn, "--port", "0", "--engine", "gluon", "--crops", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "fashionai", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_that_is_stopped_under_load_answers_or_refuses_every_request(
    process: subprocess.Popen[str], photographs: list[Path], number: int
) -> None:
    """No request gets a broken answer, and the process ends with success.

    The signal reaches its decoders too, as Ctrl-C in a terminal and the SIGTERM of systemd do.
    """
    assert process.stdout is not None
    address = address_in(process.stdout.readline() + process.stdout.readline())
    image, outcomes, answered = photographs[0].read_bytes(), [], threading.Semaphore(0)

    def send_until_refused() -> None:
        for _ in range(10_000):
            try:
                response = requests.post(f"{address}predict", files={"images": image}, timeout=30)
            except requests.ConnectionError:
                outcomes.append("refused")
                return
            outcomes.append(response.status_code)
            assert response.json()
            answered.release()

    clients = [threading.Thread(target=send_until_refused) for _ in range(8)]
    for client in clients:
        client.start()
    for _ in range(24):
        assert answered.acquire(timeout=60)
    os.killpg(process.pid, number)
    for client in clients:
        client.join(timeout=60)
    assert process.wait(timeout=60) == 0
    assert process.stdout.read() == "Stopped\n"
    assert outcomes.count("refused") == len(clients)
    assert set(outcomes) <= {200, 503, "refused"}
    assert outcomes.count(200) >= 24


def address_in(text: str) -> str:
    (address,) = re.findall(r"Open (http://127\.0\.0\.1:\d+/) in a browser", text)
    return str(address)
