"""A run that was stopped at any moment and resumed ends like one that was not, bit for bit."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from fashionai.runtime import import_mxnet
from tests.conftest import run_cli
from tests.training.conftest import write_config

mx = import_mxnet()


def start_training(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fashionai", "train", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "the run did not get that far"
        time.sleep(0.002)


def parameters(path: Path) -> dict[str, np.ndarray]:
    return {name: value.asnumpy() for name, value in mx.nd.load(str(path)).items()}


def history(run: Path) -> list[list[str]]:
    """The rows of history.csv without the columns that tell time."""
    lines = [line.split(",") for line in (run / "history.csv").read_text().splitlines()]
    timeless = [
        i for i, name in enumerate(lines[0]) if name not in ("images_per_second", "seconds")
    ]
    return [[line[i] for i in timeless] for line in lines]


def assert_same_end(one: Path, other: Path) -> None:
    for file in ("last.params", "best.params"):
        first, second = parameters(one / file), parameters(other / file)
        assert first.keys() == second.keys()
        for name in first:
            assert np.array_equal(first[name], second[name]), f"{file}: {name}"
    assert history(one) == history(other)


@pytest.fixture(scope="module", params=["sgd", "adam"])
def uninterrupted(prepared: Path, request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """The run to compare with, and its configuration."""
    folder = prepared / request.param
    folder.mkdir()
    lr = 0.05 if request.param == "sgd" else 0.002
    config = write_config(folder, optimizer=request.param, lr=lr)
    run = f"runs/whole-{request.param}"
    done = run_cli("train", "--config", config, "--run", run, cwd=prepared)
    assert done.returncode == 0, done.stderr
    return prepared / run, config


def at_least(history_file: Path, epochs: int) -> bool:
    return history_file.is_file() and len(history_file.read_text().splitlines()) > epochs


def test_killed_twice_and_resumed(prepared: Path, uninterrupted: tuple[Path, Path]) -> None:
    whole, config = uninterrupted
    run = whole.with_name(f"{whole.name}-killed")
    begin = ["--config", str(config), "--run", str(run)]
    resume = ["--run", str(run), "--resume"]
    for arguments, epochs in ((begin, 2), (resume, 6)):
        process = start_training(prepared, *arguments)
        wait_for(partial(at_least, run / "history.csv", epochs), process)
        process.kill()
        process.communicate()
        assert not json.loads((run / "metrics.json").read_text())["finished"]
    done = run_cli("train", *resume, cwd=prepared)
    assert done.returncode == 0, done.stderr
    assert "resuming in epoch" in done.stdout
    assert_same_end(whole, run)


def test_files_behind_the_state_are_mended(
    prepared: Path, uninterrupted: tuple[Path, Path]
) -> None:
    """A kill between the rename of the state and those that follow from it loses nothing."""
    whole, _ = uninterrupted
    run = whole.with_name(f"{whole.name}-behind")
    shutil.copytree(whole, run)
    (run / "last.params").write_bytes(b"old")
    (run / "history.csv").write_text("old")
    metrics = json.loads((run / "metrics.json").read_text())
    (run / "metrics.json").write_text(json.dumps({**metrics, "finished": False}))
    done = run_cli("train", "--run", run, "--resume", cwd=prepared)
    assert done.returncode == 0, done.stderr
    assert_same_end(whole, run)


@pytest.fixture(scope="module")
def with_dropout(prepared: Path) -> tuple[Path, Path]:
    """An uninterrupted run of a network with dropout, and its configuration."""
    folder = prepared / "dropout"
    folder.mkdir()
    config = write_config(folder, network="mobilenetv3_small", epochs=3, batch_size=4)
    run = prepared / "runs/dropout"
    done = run_cli("train", "--config", config, "--run", run, cwd=prepared)
    assert done.returncode == 0, done.stderr
    return run, config


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_polite_stop_saves_inside_the_epoch(
    prepared: Path, with_dropout: tuple[Path, Path], number: signal.Signals
) -> None:
    """Dropout's random numbers have to go on where they stopped, too."""
    whole, config = with_dropout
    run = whole.with_name(f"dropout-{number}")
    process = start_training(prepared, "--config", str(config), "--run", str(run))
    wait_for(partial(at_least, run / "history.csv", 1), process)
    time.sleep(0.3)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert f"Resume with: fashionai train --run {run} --resume" in output
    assert "Traceback" not in output
    resumed = run_cli("train", "--run", run, "--resume", cwd=prepared)
    assert resumed.returncode == 0, resumed.stderr
    assert_same_end(whole, run)
