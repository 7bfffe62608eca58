"""The end of a server under load: every request is answered or refused."""

from __future__ import annotations

import gc
import http.client
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter

import pytest

from fashionai.errors import ConfigError
from fashionai.serving.listening import listen

CLIENTS = 64
# Its only thread is busy for most of the time, so that many clients wait to be accepted. On a busy
# machine, they may take long to send their requests.
PROGRAM = """
import time
from fashionai.serving import listening as module
from fashionai.serving.listening import listen, run_until_stopped

module.SECONDS_TO_SEND = 60
stopping = []

async def app(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    time.sleep(0.005)
    status = 503 if stopping else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"answer"})

with listen("127.0.0.1", 0) as listening:
    print(listening.getsockname()[1], flush=True)
    run_until_stopped(app, listening, lambda: stopping.append(True))
"""


@pytest.mark.parametrize("keeps_alive", [True, False])
def test_no_connection_breaks_when_a_busy_server_stops(keeps_alive: bool) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        outcomes: list[object] = []
        answered = threading.Semaphore(0)

        def send_until_refused() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            while True:
                try:
                    connection.request("POST", "/", b"x" * 100_000)
                    response = connection.getresponse()
                    assert response.read() == b"answer"
                except ConnectionRefusedError:
                    outcomes.append("refused")
                    return
                except (OSError, http.client.HTTPException) as error:
                    outcomes.append(repr(error))
                    return
                outcomes.append(response.status)
                answered.release()
                if not keeps_alive:
                    connection.close()

        clients = [threading.Thread(target=send_until_refused) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        for _ in range(2 * CLIENTS):
            assert answered.acquire(timeout=60)
        process.send_signal(signal.SIGTERM)
        for client in clients:
            client.join(timeout=60)
        assert process.wait(timeout=60) == 0
    counts = Counter(outcomes)
    assert set(counts) <= {200, 503, "refused"}, counts
    assert counts["refused"] == CLIENTS


def test_a_port_in_use_leaves_no_socket_open(recwarn: pytest.WarningsRecorder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        with pytest.raises(ConfigError, match="Address already in use"):
            listen("127.0.0.1", other.getsockname()[1])
        gc.collect()
    assert not recwarn.list
