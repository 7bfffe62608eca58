"""The campaign of kills in a short form, and that it finds what is wrong."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.commands import ROOT

CAMPAIGNS = ROOT / "scripts/campaigns"


@pytest.fixture
def kill(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports a module of the package kill as the campaign does."""
    monkeypatch.syspath_prepend(str(CAMPAIGNS))

    def load(name: str) -> ModuleType:
        return importlib.import_module(f"kill.{name}")

    yield load
    for name in list(sys.modules):
        if name.partition(".")[0] == "kill":
            del sys.modules[name]


def test_twelve_kills() -> None:
    """SIGKILL in prepare, which needs no MXNet; repeated, it ends bit for bit as uninterrupted."""
    script = [sys.executable, CAMPAIGNS / "kill.py", "--kills", "12", "--seed", "3"]
    done = subprocess.run([*script, "prepare"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split()[-5:] for line in done.stdout.splitlines()[1:]]
    assert sum(int(row[1]) + int(row[2]) for row in rows) == 12
    assert all(int(row[0]) > 10 for row in rows)


PROGRAM = """\
import os
from pathlib import Path

def main(arguments):
    Path("new").mkdir()
    Path("new/.a.tmp").write_text("1")
    open("new/.a.tmp", "rb").close()
    os.replace("new/.a.tmp", "new/a")
    Path("b").symlink_to("new/a")
    Path("/dev/null").write_text("outside of the folder")
    Path("new/a").unlink()
"""
# What is there when the process dies before operation 1, 2 ...
STATES = [[], ["new"], ["new", "new/.a.tmp"], ["new", "new/.a.tmp"], ["new", "new/a"],
          ["b", "new", "new/a"]]  # fmt: skip


@pytest.mark.parametrize("number", range(8))
def test_a_process_dies_before_a_single_operation(tmp_path: Path, number: int) -> None:
    (tmp_path / "fashionai").mkdir()
    (tmp_path / "fashionai/__init__.py").write_text("")
    (tmp_path / "fashionai/cli.py").write_text(PROGRAM)
    folder = tmp_path / "work"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, CAMPAIGNS / "kill/child.py", folder, str(number), "count"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    if 1 <= number <= 6:
        assert done.returncode == -signal.SIGKILL
        assert found == STATES[number - 1]
    else:
        assert done.returncode == 0
        assert (folder / "count").read_text() == "6"


def test_what_a_repeated_command_ends_with_is_compared(kill: Any, tmp_path: Path) -> None:
    scenario = kill("scenario")
    command = scenario.Scenario("a", ("a",), volatile=("*.log",), remains=("kept/.*.tmp",))
    expected, actual = tmp_path / "expected", tmp_path / "actual"
    for folder, seconds in ((expected, "1"), (actual, "2")):
        for name in ("same", "changed", "tmp/of-anyone", "a/train.log"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("" if name == "same" else str(folder))
        (folder / "history.csv").write_text(f"epoch,seconds\n1,{seconds}\n")
        (folder / "metrics.json").write_text(f'{{"epoch": 1, "seconds": {seconds}}}')
    (expected / "missing").mkdir()
    for name in ("kept/.a.tmp", "other/.a.tmp"):
        (actual / name).parent.mkdir()
        (actual / name).write_text("")
    contents = [scenario.content_of(folder, command) for folder in (actual, expected)]
    assert scenario.differences(*contents, command.remains) == [
        "differs: changed",
        "left behind: other/.a.tmp",
        "missing: missing",
    ]


def test_every_command_has_a_module(kill: Any) -> None:
    modules = {file.stem for file in (CAMPAIGNS / "kill").glob("*.py")}
    commands = (
        *("prepare", "predict", "evaluate", "quantize", "export", "weights_fetch", "tune"),
        *("train", "cross_validate"),
    )
    assert modules == {"__init__", "child", "scenario", "campaign", "data", *commands}
    for name in commands:
        for scenario in kill(name).SCENARIOS:
            assert scenario.command[0] == name.split("_")[0].replace("cross", "cross-validate")
