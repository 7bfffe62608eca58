"""Completion in shells: what it offers, how little it imports for that, and a try in bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fashionai.cli import COMMANDS
from tests.support.commands import ROOT

BASH = shutil.which("bash")


def complete(line: str, cwd: Path, **environment: str) -> list[str]:
    """What the program offers for the last word of a line, as its bash script asks it."""
    done = subprocess.run(
        [sys.executable, "-m", "fashionai"],
        cwd=cwd,
        env={
            **os.environ,
            "_FASHIONAI_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.splitlines()


def test_every_command_is_offered(tmp_path: Path) -> None:
    assert complete("fashionai ", tmp_path) == [f"plain,{name}" for name in COMMANDS]
    assert complete("fashionai pre", tmp_path) == [
        "plain,prepare",
        "plain,predict",
        "plain,preview",
    ]
    assert "plain,--version" in complete("fashionai --", tmp_path)


def test_options_and_their_values_are_offered(tmp_path: Path) -> None:
    assert complete("fashionai train --conf", tmp_path) == ["plain,--config"]
    assert complete("fashionai predict --crops ", tmp_path) == ["plain,1", "plain,5", "plain,10"]
    assert complete("fashionai weights ve", tmp_path) == ["plain,verify"]


@pytest.mark.parametrize("words", ["train --config", "config"])
def test_packaged_configurations_are_offered_beside_files(tmp_path: Path, words: str) -> None:
    assert len(complete(f"fashionai {words} ", tmp_path)) == len(list(ROOT.glob("configs/*.yaml")))
    assert complete(f"fashionai {words} sk", tmp_path) == ["plain,skirt"]
    assert complete(f"fashionai {words} bir", tmp_path) == ["file,bir"]
    (tmp_path / "skirts.yaml").touch()
    assert complete(f"fashionai {words} sk", tmp_path) == ["file,sk"]


@pytest.mark.parametrize("line", ["fashionai ", "fashionai train --config "])
def test_completion_imports_neither_commands_nor_numpy(tmp_path: Path, line: str) -> None:
    """So that it answers at once."""
    script = tmp_path / "sitecustomize.py"
    script.write_text(
        "import atexit, sys\n"
        "atexit.register(lambda: open('modules', 'w').write(' '.join(sys.modules)))\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    complete(line, tmp_path, PYTHONPATH=path)
    imported = set((tmp_path / "modules").read_text().split())
    assert "fashionai.cli" in imported
    assert not imported & {
        "numpy",
        "pydantic",
        "yaml",
        "mxnet",
        "fashionai.cli.predictions.predict",
    }


@pytest.mark.skipif(BASH is None, reason="needs bash")
def test_bash_completes_a_line(tmp_path: Path) -> None:
    """The script that installation.md has people load, called as bash calls it."""
    program = tmp_path / "fashionai"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fashionai "$@"\n')
    program.chmod(0o755)
    script = """
        eval "$(_FASHIONAI_COMPLETE=bash_source fashionai)"
        complete -p fashionai
        COMP_WORDS=(fashionai train --config sk) COMP_CWORD=3
        _fashionai_completion fashionai sk --config
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(BASH), "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    registered, *offered = done.stdout.splitlines()
    assert registered.endswith(" -F _fashionai_completion fashionai")
    assert offered == ["skirt"]
