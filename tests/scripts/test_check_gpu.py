"""scripts/check_gpu.sh: its parts on the CPU at tiny sizes, and what it says when one fails."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fashionai.models.describe import describe
from fashionai.models.freezing import freeze
from tests.support.commands import ROOT
from tests.support.graphs import random_network

SCRIPT = ROOT / "scripts/check_gpu.sh"


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lets the package be imported as the script does."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "gpu_check"]:
        del sys.modules[name]


def check_gpu(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SCRIPT), *map(str, arguments)],
        env={**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=400,
    )


def empty_kit(folder: Path) -> Any:
    """A kit without networks and images."""
    from gpu_check.kit import VERSION, Kit

    folder.mkdir()
    facts = {"version": VERSION, "plan": "tiny", "seed": 1, "hashes": {}}
    (folder / "kit.json").write_text(json.dumps(facts))
    return Kit(folder)


@pytest.mark.gpu_check
def test_all_parts_pass_on_the_cpu(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    kit, out = tmp_path / "kit", tmp_path / "out"
    prepared = check_gpu("--prepare", kit, "--tiny", "--packages", "none")
    assert prepared.returncode == 0, prepared.stderr
    assert sum(file.stat().st_size for file in kit.rglob("*") if file.is_file()) < 5e6
    checked = check_gpu(kit, "--device", "cpu", "--tiny", "--out", out)
    report = json.loads((out / "check_gpu.json").read_text())
    table = (out / "check_gpu.md").read_text()
    assert checked.returncode == 0, table
    assert checked.stdout == ""
    assert report["passed"]
    assert {row["part"] for row in report["rows"]} == {
        *("environment", "parity", "demo", "resume", "processes", "throughput", "precisions")
    }
    assert all(row["card"] == report["card"] != "unknown" for row in report["rows"])
    assert table.count("\n") > len(report["rows"])
    speeds = [row for row in report["rows"] if row["unit"] == "images/s"]
    assert [row["side"] for row in speeds] == ["ours", "ours", "peer", "ours", "peer", "ours"]
    assert all(row["value"] > 0 and 0 <= row["waiting_share"] <= 1 for row in speeds)
    assert sum(row["unit"] == "ratio" for row in report["rows"]) == 6
    assert sorted(file.name for file in out.iterdir()) == [
        *("check_gpu.json", "check_gpu.log", "check_gpu.md")
    ]


def test_a_folder_that_is_not_prepared_is_one_line(tmp_path: Path) -> None:
    finished = check_gpu(tmp_path)
    assert finished.returncode == 2
    assert (
        finished.stderr == f"check_gpu.sh: {tmp_path}: not prepared, run {SCRIPT.name} --prepare\n"
    )


def test_a_folder_with_files_is_not_prepared(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    finished = check_gpu("--prepare", tmp_path, "--tiny")
    assert finished.returncode == 2
    assert finished.stderr == f"check_gpu.sh: {tmp_path}: not empty, expected a new folder\n"


def test_parts_that_fail_say_why_and_others_run(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    kit = empty_kit(tmp_path / "kit")
    finished = check_gpu(
        *(kit.folder, "--device", "cpu", "--out", tmp_path / "out"),
        *("--only", "parity,environment"),
    )
    assert finished.returncode == 1
    report = json.loads((tmp_path / "out/check_gpu.json").read_text())
    failed = [row for row in report["rows"] if row["passed"] is False]
    assert [row["part"] for row in failed] == ["parity"]
    assert failed[0]["note"].endswith("networks/mobilenet0.25.npz'")
    assert "\n" not in failed[0]["note"]
    assert {row["part"] for row in report["rows"]} == {"parity", "environment"}


def test_a_part_ends_at_its_limit(tmp_path: Path) -> None:
    from gpu_check.run import Check

    check = Check(empty_kit(tmp_path / "kit"), "cpu", tmp_path / "out")
    check.plan = check.plan._replace(limits={"demo": 0.01})
    assert not check.run(["demo"])
    report = json.loads((tmp_path / "out/check_gpu.json").read_text())
    assert [row["note"] for row in report["rows"]] == ["stopped after its limit of 0 s"]


INTERRUPTED = """\
import sys
from pathlib import Path

from gpu_check import run
from gpu_check.kit import Kit

CODE = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"
kit, out, pid = map(Path, sys.argv[1:])
check = run.Check(Kit(kit), "cpu", out)


def sleep(job, limit):
    with check._started([sys.executable, "-c", CODE, str(pid)], None) as process:
        process.wait()
    return ""


check._process = sleep
check.run(["demo"])
"""


def test_a_check_that_is_interrupted_leaves_no_process(tmp_path: Path) -> None:
    kit, pid = empty_kit(tmp_path / "kit"), tmp_path / "pid"
    check = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, kit.folder, tmp_path / "out", pid],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'scripts'}"},
        stderr=subprocess.DEVNULL,
    )
    while not pid.is_file() or not pid.read_text():
        assert check.poll() is None
        time.sleep(0.02)
    check.send_signal(signal.SIGINT)
    assert check.wait(20) != 0
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_measurements_for_which_no_time_is_left_stay_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gpu_check import run

    monkeypatch.setattr(run, "TOTAL_LIMIT", 0.0)
    check = run.Check(empty_kit(tmp_path / "kit"), "cpu", tmp_path / "out")
    assert check.run(["throughput"])
    report = json.loads((tmp_path / "out/check_gpu.json").read_text())
    assert len(report["rows"]) == len(check.plan.speeds["throughput"])
    assert {row["note"] for row in report["rows"]} == {"no time was left"}


def test_the_parts_cannot_import_mxnet(tmp_path: Path) -> None:
    kit = empty_kit(tmp_path / "kit")
    job = {"kit": str(kit.folder), "device": "cpu", "part": "x", "rows": "", "settings": {}}
    program = (
        "import sys; from gpu_check.worker import main\n"
        f"try: main({json.dumps(json.dumps(job))})\n"
        "except ModuleNotFoundError: import mxnet\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'scripts'}"},
        capture_output=True,
        text=True,
    )
    assert "import of mxnet halted; None in sys.modules" in finished.stderr


def test_random_weights_are_the_same_everywhere() -> None:
    from gpu_check.kit import hash_of, random_parameters

    shapes = {"weight": (4, 3, 3, 3), "bn.gamma": (4,), "bn.running_var": (4,), "bias": (4,)}
    values = random_parameters(shapes, 3)
    assert np.abs(values["weight"]).max() <= np.sqrt(6 / 27)
    assert [values[name][0] for name in list(shapes)[1:]] == [1, 1, 0]
    assert hash_of(values).startswith("f9588862fe4f")


@pytest.mark.parametrize("trainable", ["all", "head"])
def test_a_description_survives_its_file(tmp_path: Path, trainable: str) -> None:
    from gpu_check.descriptions import load_description, save_description

    network, crop = random_network("resnet18_v2")
    freeze(network, trainable, crop)
    expected = describe(network, crop)
    assert (expected.features is None) == (trainable == "all")
    save_description(tmp_path / "deeper/network.npz", expected)
    found = load_description(tmp_path / "deeper/network.npz")
    for field in dataclasses.fields(expected):
        if field.name != "parameters":
            assert getattr(found, field.name) == getattr(expected, field.name), field.name
    assert list(found.parameters) == list(expected.parameters)
    for name, values in expected.parameters.items():
        assert found.parameters[name].dtype == np.float32
        np.testing.assert_array_equal(found.parameters[name], values)


def test_the_largest_batch_follows_from_the_memory_of_smaller_ones() -> None:
    from gpu_check.speed import largest_batch

    rows = [
        {"side": "ours", "batch": 64, "peak_gigabytes": 9.0},
        {"side": "ours", "batch": 256, "peak_gigabytes": 25.6},
        {"side": "peer", "batch": 512, "peak_gigabytes": 99.0},
        {"part": "demo"},
    ]
    assert largest_batch(rows, "ours", 100.0) == 832
    assert largest_batch(rows, "ours", None) is None
    assert largest_batch([], "ours", 100.0) is None


def test_differences_of_weights_are_relative_to_their_change() -> None:
    from gpu_check.kit import CLASSES
    from gpu_check.steps import GRADIENTS, OPTIMIZERS, differences

    def results(change: float) -> dict[str, np.ndarray]:
        found = {"outputs": np.ones((2, len(CLASSES))), "initial/w": np.full(3, 5.0)}
        for steps in (GRADIENTS, *OPTIMIZERS):
            found |= {f"{steps.name}/loss": np.array([2.0]), f"{steps.name}/w": 5.0 + change}
            found[f"{steps.name}/w"] = np.full(3, 5.0 + change)
        return found

    by_name = {each.name: each for each in differences(results(0.11), results(0.1))}
    assert by_name["outputs"].value == by_name["loss"].value == 0
    assert by_name["gradients"].value == pytest.approx(0.1)
    assert by_name["gradients"].limit < 0.1
    assert "running statistics" not in by_name


def test_the_reason_is_the_error_that_came_first() -> None:
    from gpu_check.run import reason_of

    log = (
        "a warning\n"
        "[rank1]: Traceback (most recent call last):\n"
        "[rank1]:     raise ValueError: not this line\n"
        "[rank1]: ValueError: no such network\n"
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n"
        "RuntimeError: two processes ended with code 1\n"
    )
    assert reason_of(log) == "ValueError: no such network"
    assert reason_of("killed\n\n") == "killed"
    assert reason_of("") == ""
