"""Every malformed input in tests/cases/ gives its exact message, exit code 2, and no output.

A case is a YAML file: ``command`` (arguments of fashionai), ``files`` (path to
text), ``images`` (paths of small sound JPEGs), ``bytes`` (path to base64),
``before`` (commands that run first and succeed), ``stderr`` (the exact text) and
``leaves`` (files that the refusal itself is there to write: lists of images).
"""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fashionai.cli import main
from fashionai.yaml_files import load_yaml

CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))
KEYS = {"command", "files", "images", "bytes", "before", "stderr", "leaves"}


def write_inputs(case: dict[str, Any]) -> None:
    for number, name in enumerate(case.get("images", [])):
        pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
        write(name, cv2.imencode(".jpg", pixels)[1].tobytes())
    for name, text in case.get("files", {}).items():
        write(name, text.encode())
    for name, text in case.get("bytes", {}).items():
        write(name, base64.b64decode(text, validate=True))


def write(name: str, data: bytes) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(data)


def exit_code(arguments: Sequence[str]) -> object:
    """What the command exits with; any other exception is a traceback for the user."""
    try:
        main(arguments)
    except SystemExit as stop:
        return stop.code
    return 0


def in_newer_words(text: str) -> str:
    """What click says in its own words, as its newer releases (for Python 3.10 and up) say it."""
    text = text.replace(" -h' for help.", " --help' for help.")
    text = re.sub(r"No such option: (--[\w-]+)\.?", r"No such option '\1'.", text)
    return re.sub(r"Did you mean (--[\w-]+)\?", r"Did you mean '\1'?", text)


def files_here() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(Path().rglob("*")) if path.is_file()}


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 45


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_input_is_refused_with_its_message(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    case = load_yaml(path)
    assert {"command", "stderr"} <= case.keys() <= KEYS
    monkeypatch.chdir(tmp_path)
    write_inputs(case)
    for command in case.get("before", []):
        assert exit_code(shlex.split(command)) == 0, capsys.readouterr().err
    capsys.readouterr()
    before = files_here()

    code = exit_code(shlex.split(case["command"]))

    errors = in_newer_words(capsys.readouterr().err)
    assert errors == case["stderr"]
    assert code == 2
    assert "Traceback" not in errors
    after = files_here()
    assert sorted(after.keys() - before.keys()) == case.get("leaves", [])
    assert {name: after.get(name) for name in before} == before
