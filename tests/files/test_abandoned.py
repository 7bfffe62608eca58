"""Temporary files of killed processes are removed by the next writer, those in use are not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from fashionai.files import atomic_path, write_text
from fashionai.files.abandoned import temporary_name

WRITE = """\
import os, signal, sys
from pathlib import Path
from fashionai.files import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    if sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    print("writing", flush=True)
    sys.stdin.read()
"""


def start(file: Path, what: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITE, str(file), what]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    file = tmp_path / "[a].csv"
    start(file, "die").communicate()
    (left,) = tmp_path.iterdir()
    write_text(tmp_path / "b.csv", "another file")
    assert left.exists()
    write_text(file, "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["[a].csv", "b.csv"]


def test_files_in_use_and_files_of_other_machines_stay(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    writing = start(file, "wait")
    assert writing.stdout is not None
    assert writing.stdout.readline() == "writing\n"
    scope, process, token = temporary_name(file)[len(".a.csv.") : -len(".tmp")].split("-")
    assert int(process) == os.getpid()
    elsewhere = f"{int(scope, 16) ^ 1:08x}"
    others = [f".a.csv.{elsewhere}-{2**22}-{token}.tmp", ".a.csv.mine.tmp", ".a.csv.0a1b.tmp"]
    for name in others:
        (tmp_path / name).write_text("")
    with atomic_path(file) as temporary:
        temporary.write_text("outer")
        write_text(file, "inner")
    assert file.read_text() == "outer"
    writing.communicate("")
    assert file.read_text() == "half"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a.csv", *others])
