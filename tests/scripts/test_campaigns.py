"""The campaign of odd inputs: a short one of each kind, and that it finds what it is to find."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import ROOT

FUZZ = ROOT / "scripts/campaigns/fuzz.py"
KINDS = sorted(file.stem for file in (FUZZ.parent / "kinds").glob("[!_]*.py"))


def fuzz(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, FUZZ, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=ROOT,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_fails(kind: str) -> None:
    done = fuzz(kind, "--cases", 100, "--seed", 15)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    name, cases, accepted, refused = done.stdout.splitlines()[-1].split()[:4]
    assert (name, cases) == (kind, "100")
    assert int(accepted) >= 10
    assert int(refused) >= 10


FAULTS = {
    "traceback": "return {}['key']",
    "wrong": "assert case == 'sound', 'read as another'",
    "memory": "return str(len(bytearray(10**9)))",
    "hang": "import time; time.sleep(60)",
    "died": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found(fault: str, tmp_path: Path) -> None:
    (tmp_path / "made_up.py").write_text(
        "def make(rng):\n    return str(rng.random())\n\n\n"
        f"def check(case, folder):\n    {FAULTS[fault]}\n"
    )
    done = fuzz("--folder", tmp_path, "--cases", 2, "--seconds", 1, "--memory", 200)
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[-1].split()[:6] == ["made_up", "2", "0", "0", "0", "2"]
    assert f"made_up case 1: {fault}: " in done.stdout


def test_a_case_can_be_run_again(tmp_path: Path) -> None:
    (tmp_path / "made_up.py").write_text(
        "def make(rng):\n    return rng.random()\n\n\n"
        "def check(case, folder):\n    assert case < 0.5, case\n    return 'accepted'\n"
    )
    of_all = fuzz("--folder", tmp_path, "--cases", 20, "--seed", 3)
    found = of_all.stdout.splitlines()[0]
    assert ": wrong: AssertionError: 0." in found
    number = found.split()[2].rstrip(":")
    alone = fuzz("--folder", tmp_path, "--seed", 3, "--case", number)
    case, again = alone.stdout.splitlines()[:2]
    assert again == found
    assert f"AssertionError: {case} " in again
