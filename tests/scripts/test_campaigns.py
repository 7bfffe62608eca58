"""The campaign of odd inputs: a short one of each kind, and that it finds what it is to find."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import ROOT

FUZZ = ROOT / "scripts/campaigns/fuzz.py"
CASES = 36
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


@pytest.fixture(scope="module")
def short_campaign() -> subprocess.CompletedProcess[str]:
    """Some 500 cases of all kinds. One process, because imports take longer than the cases."""
    return fuzz("--cases", CASES, "--seed", 15)


def test_nothing_fails(short_campaign: subprocess.CompletedProcess[str]) -> None:
    assert (short_campaign.returncode, short_campaign.stderr) == (0, ""), short_campaign.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_of_a_kind_are_accepted_and_refused(
    kind: str, short_campaign: subprocess.CompletedProcess[str]
) -> None:
    rows = [line.split() for line in short_campaign.stdout.splitlines()]
    (row,) = [row for row in rows if row[0] == kind]
    assert int(row[1]) == CASES
    assert int(row[2]) >= 10, "accepted"
    assert int(row[3]) >= 10, "refused"


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
