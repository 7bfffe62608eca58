"""MLflow's server as trainings meet it: down for a while, moved, or with a password."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fashionai.config import load_config
from fashionai.errors import TrainingError
from fashionai.runs import RunFolder
from fashionai.tracking import mlflow as tracking
from fashionai.tracking.mlflow import MlflowLog

ROWS = [{"epoch": epoch, "train_loss": 1 / epoch, "seconds": 2} for epoch in (1, 2, 3)]


class Server(HTTPServer):
    """As much of MLflow's REST API as a training asks for, which keeps the metrics of one run."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []
        self.failing: tuple[str, ...] = ()
        self.metrics: list[tuple[str, int]] = []
        self.status = ""

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path.endswith("experiments/get-by-name"):
            return {"experiment": {"experiment_id": "7"}}
        if path.endswith(("runs/create", "runs/get", "runs/update")):
            self.status = body.get("status", self.status)
            info = {"run_id": "a1b2", "experiment_id": "7", "artifact_uri": "mlflow-artifacts:/7"}
            return {"run": {"info": info}, "run_info": info}
        self.metrics += [(each["key"], int(each["step"])) for each in body.get("metrics", ())]
        return {}


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        path, _, _ = self.path.partition("?")
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append(path)
        if path.endswith(self.server.failing):
            self.send_error(503)
            return
        answer = json.dumps(self.server.answer(path, json.loads(data or "{}"))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        """A picture is refused, not for a while."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_error(403)

    def log_message(self, *arguments: object) -> None:
        """Nothing is written to standard error."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server at MLFLOW_TRACKING_URI; MLflow would try again three times, without pauses."""
    for name in ("BACKOFF_FACTOR", "BACKOFF_JITTER"):
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    monkeypatch.setattr(tracking, "pictures", lambda *_: [])  # they need a trained run
    with Server() as server:
        address = f"http://user:secret@127.0.0.1:{server.server_port}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def begun(folder: Path) -> MlflowLog:
    log = MlflowLog()
    log.begin(RunFolder(folder), load_config("skirt"))
    return log


def test_a_server_that_is_down_is_asked_once_per_epoch_and_gets_the_rest_at_the_end(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = begun(tmp_path)
    log.observe(ROWS[:1])
    server.failing = ("",)
    for count in (2, 3):
        server.requests.clear()
        log.observe(ROWS[:count])
        assert len(server.requests) == 1
        assert f"MLflow did not take epoch {count}" in caplog.text
    server.failing = ()
    log.finish([])
    assert server.status == "FINISHED"
    assert sorted(step for name, step in server.metrics if name == "train/loss") == [1, 2, 3]
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "3"


def test_the_end_is_told_once_to_a_server_that_fails(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After Ctrl-C nobody waits for MLflow's retries."""
    log = begun(tmp_path)
    server.failing = ("",)
    server.requests.clear()
    log.end_early(failed=False)
    assert len(server.requests) == 1
    assert "MLflow did not take the end" in caplog.text


def test_a_training_that_begins_or_finishes_tries_again_twice(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = begun(tmp_path)
    server.failing = ("",)
    server.requests.clear()
    log.finish([])
    assert len(server.requests) == 3
    assert "MLflow did not take the end of the training" in caplog.text
    server.requests.clear()
    with pytest.raises(TrainingError, match="MLflow does not take the run"):
        begun(tmp_path)
    assert len(server.requests) == 3


def test_a_run_goes_on_at_its_own_server_where_another_one_is_set(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    server.status = ""
    begun(tmp_path)
    assert server.status == "RUNNING"
    assert f"127.0.0.1:{server.server_port}" in (tmp_path / "mlflow.json").read_text()


def test_a_picture_that_is_refused_does_not_fail_the_training(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    picture = np.zeros((9, 9, 3), np.uint8)
    monkeypatch.setattr(tracking, "pictures", lambda *_: [("preview", picture)])
    begun(tmp_path).finish([])
    assert "MLflow did not take preview.png: 403" in caplog.text
    assert server.status == "FINISHED"


def test_an_mlflow_run_without_its_parameters_does_not_stay_running(
    server: Server, tmp_path: Path
) -> None:
    server.failing = ("runs/log-batch",)
    with pytest.raises(TrainingError, match="MLflow does not take the run"):
        begun(tmp_path)
    assert server.status == "FAILED"
    assert not list(tmp_path.iterdir())


def test_a_password_is_neither_stored_nor_told(server: Server, tmp_path: Path) -> None:
    begun(tmp_path)
    content = json.loads((tmp_path / "mlflow.json").read_text())
    assert content == {
        "run_id": "a1b2",
        "tracking_uri": f"http://127.0.0.1:{server.server_port}",
    }
    server.failing = ("",)
    with pytest.raises(TrainingError, match=rf"http://127\.0\.0\.1:{server.server_port}/") as error:
        begun(tmp_path)
    assert "secret" not in str(error.value)


def test_a_server_that_has_moved_is_found_where_the_user_says(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for the same MLflow run, and known without the variable from then on."""
    begun(tmp_path)
    file = tmp_path / "mlflow.json"
    known = file.read_text()
    # Nobody listens there.
    file.write_text(json.dumps({"run_id": "a1b2", "tracking_uri": "http://127.0.0.1:9"}))
    with monkeypatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI")
        with pytest.raises(TrainingError) as error:
            begun(tmp_path)
    assert error.value.hint == (
        f"Set MLFLOW_TRACKING_URI, delete {file} to begin another MLflow run, "
        "or leave mlflow out of log"
    )
    begun(tmp_path)
    assert file.read_text() == known
