"""Predictions that several processes share, started as users start them; on the CPU."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fashionai import contexts
from fashionai.engines.protocol import Engine
from fashionai.errors import ConfigError, FashionAIError
from fashionai.frameworks.devices import Device
from fashionai.frameworks.processes import PATIENCE_VARIABLE, Place, patience_seconds
from fashionai.predictions import in_parts
from fashionai.predictions.in_parts import check_images_in_parts, compute_parts, gather
from fashionai.predictions.meeting import Meeting
from fashionai.predictions.parts import Parts, open_parts
from fashionai.predictions.predict import Request
from fashionai.progress import no_bar
from fashionai.runs import Run
from tests.support.commands import fashionai

FOLDER = ".p.csv.parts"
OPTIONS = ("--run", "runs/skirt", "--crops", "1", "--batch-size", "2")
PREDICT = ("predict", "--out", "p.csv", *OPTIONS)
PATIENCE = 120


@pytest.fixture(scope="module")
def whole(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with whole.csv and whole.json, as one process makes them at once with torch."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    folder = tmp_path_factory.mktemp("shared")
    for name in ("data", "runs"):
        shutil.copytree(trained / name, folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        options = (*OPTIONS, "--engine", "torch")
        assert fashionai("predict", "--out", "whole.csv", *options) == 0
        assert fashionai("evaluate", *options, "--json", "whole.json") == 0
    return folder


@pytest.fixture
def work(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "work")


def job(folder: Path, processes: int, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start a command in so many processes."""
    launcher = ["-m", "torch.distributed.run", f"--nproc-per-node={processes}", "-m", "--"]
    path = f"{Path.cwd()}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    return subprocess.Popen(
        [sys.executable, *launcher, "tests.support.small_parts", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str], succeeds: bool = True) -> str:
    output, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode == 0) == succeeds, output
    return output


def test_two_processes_write_the_bytes_of_one(work: Path) -> None:
    output = finish(job(work, 2, *PREDICT))
    assert (work / "p.csv").read_bytes() == (work / "whole.csv").read_bytes()
    assert output.count("p.csv: 18 rows") == 1  # the first process alone tells
    assert not (work / FOLDER).exists()


def test_a_killed_process_ends_all_and_another_number_of_them_goes_on(work: Path) -> None:
    process = job(work, 2, *PREDICT, PAUSE_AFTER="1", PAUSE_RANK="1")
    part = work / FOLDER / "run0-000001.npz"
    deadline = time.monotonic() + PATIENCE
    while not part.is_file():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(int((work / "pid-1").read_text()), signal.SIGKILL)
    finish(process, succeeds=False)
    assert not (work / "p.csv").exists()
    output = finish(job(work, 3, *PREDICT, "--resume"))
    assert "are finished, the others follow" in output
    assert (work / "p.csv").read_bytes() == (work / "whole.csv").read_bytes()
    assert not (work / FOLDER).exists()


def test_bad_images_are_named_once(work: Path) -> None:
    image = sorted((work / "data/rank/Images/skirt_length_labels").iterdir())[5]
    image.write_bytes(image.read_bytes()[:200])
    output = finish(job(work, 2, *PREDICT), succeeds=False)
    assert output.count("cannot be used") == 1
    output = finish(job(work, 2, *PREDICT, "--skip-bad"))
    assert output.count("left out: ") == 1
    assert len((work / "p.csv").read_text().splitlines()) == 17


def test_two_processes_evaluate_what_one_does(work: Path) -> None:
    output = finish(job(work, 2, "evaluate", *OPTIONS, "--json", "p.json"))
    found, expected = (json.loads((work / name).read_text()) for name in ("p.json", "whole.json"))
    assert found == expected
    assert output.count("balanced") == 1
    assert not [file for file in (work / "runs/skirt").iterdir() if file.name.startswith(".val")]


def test_commands_that_do_not_share_their_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "0")):
        monkeypatch.setenv(name, value)
    for command in ("prepare", "find-lr", "cross-validate", "quantize", "export", "classify"):
        assert fashionai(command) == 2
        assert capsys.readouterr().err == (
            f"Error: {command}: was started in 2 processes, which do not share its work. "
            "Start one process; these share their work: train, predict, evaluate\n"
        )
    monkeypatch.setenv("RANK", "many")
    assert fashionai("tasks") == 0


@pytest.mark.parametrize(
    "arguments", [("predict", "--out", "p.csv", "--run", "runs/skirt"), ("evaluate", *OPTIONS)]
)
def test_each_gpu_gets_a_process(
    whole: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """The launcher is a stub, because there are no GPUs here."""
    monkeypatch.chdir(whole)
    started: list[object] = []
    gpus = [Device("gpu", 0), Device("gpu", 3)]
    monkeypatch.setattr("fashionai.frameworks.choice.torch_devices", lambda *_: gpus)
    launcher = "fashionai.training.torch.launch.launch"
    monkeypatch.setattr(launcher, lambda *given: started.append(given))
    options = ("--engine", "torch", "--gpus", "0,3")
    assert fashionai(*arguments, *options) == 0
    assert started == [([*arguments, *options], 2)]
    assert not (whole / "p.csv").exists()


def meet(folder: Path, count: int) -> list[str]:
    """What so many processes report when they have met; they are threads here."""
    reports: list[str] = []

    def take_part(rank: int) -> None:
        own = Meeting(folder, Place(rank, count, rank))
        own.begin()
        own.reach("done")
        own.wait_for("done")
        reports.append(f"{own._job}")

    threads = [threading.Thread(target=take_part, args=(rank,)) for rank in range(count)]
    for thread in reversed(threads):
        thread.start()
    for thread in threads:
        thread.join(20)
    return reports


def test_files_of_an_earlier_job_do_not_deceive(tmp_path: Path) -> None:
    first, second = meet(tmp_path, 3), meet(tmp_path, 3)
    for reports in (first, second):
        assert len(reports) == 3
        assert len(set(reports)) == 1
    assert first[0] != second[0]


def test_a_process_with_another_prediction_is_named(tmp_path: Path) -> None:
    folder, errors = tmp_path / "parts", []

    def take_part(rank: int, crops: int) -> None:
        try:
            with open_parts(folder, {"crops": crops, "images": "0" * 64}, Place(rank, 2, rank)):
                pass
        except ConfigError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=take_part, args=(rank, 1 + 4 * rank)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    (error,) = errors
    assert error.startswith(f"{Place(1, 2, 1)}: its prediction is not that of the first process")
    assert "(crops: 1, not 5)" in error


def share(folder: Path, take_part: Callable[[Parts], object]) -> list[object]:
    """What two processes return or raise that share a prediction; they are threads here."""
    found: list[object] = [None, None]

    def run(rank: int) -> None:
        try:
            with open_parts(folder, {"images": "0" * 64}, Place(rank, 2, rank)) as parts:
                found[rank] = take_part(parts)
        except FashionAIError as error:
            found[rank] = error

    threads = [threading.Thread(target=run, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def test_every_process_can_name_a_bad_image(work: Path) -> None:
    images = sorted((work / "data/rank/Images/skirt_length_labels").iterdir())
    images[5].write_bytes(images[5].read_bytes()[:200])
    errors = share(work / FOLDER, lambda parts: check_images_in_parts(images, parts, no_bar))
    assert [str(images[5]) in str(error) for error in errors] == [True, True], errors
    assert not (work / FOLDER).exists()


def test_the_first_process_chooses_the_engine_of_all(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices, opened = iter(["gluon", "fused", "onnx"]), []
    open_named = in_parts.open_fastest

    def open_fastest(run: Run, contexts: list[object], name: str) -> tuple[str, Engine]:
        opened.append(name)
        return open_named(run, contexts, name)

    monkeypatch.setattr(in_parts, "fastest_engine", lambda *_: next(choices))
    monkeypatch.setattr(in_parts, "open_fastest", open_fastest)
    monkeypatch.setattr(in_parts, "PART_IMAGES", 4)
    run = Run.open(work / "runs/skirt")
    images = sorted((work / "data/rank/Images/skirt_length_labels").iterdir())
    requests = [Request(run.tasks[0], images, [run])]

    def predict(parts: Parts) -> list[np.ndarray]:
        options = {"crops": 1, "batch_size": 2, "engine": "auto"}
        return gather(compute_parts(requests, contexts("cpu"), parts, **options), parts)

    first, second = share(work / FOLDER, predict)
    assert opened == ["gluon", "gluon"]
    assert np.array_equal(first, second)


@pytest.mark.parametrize(("rank", "missing"), [(0, "rank 1"), (1, "the first process")])
def test_a_process_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rank: int, missing: str
) -> None:
    monkeypatch.setenv(PATIENCE_VARIABLE, "0.3")
    with pytest.raises(ConfigError, match=f"waited 0 s for {missing} of 2 processes"):
        Meeting(tmp_path, Place(rank, 2, rank)).begin()


@pytest.mark.parametrize("text", ["long", "nan", "inf", "0", "-1", "1e300"])
def test_patience_is_a_number_of_seconds(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(PATIENCE_VARIABLE, text)
    with pytest.raises(ConfigError, match=f"found '{text}', expected seconds, more than 0"):
        patience_seconds(50)
