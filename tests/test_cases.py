"""Every malformed input in tests/cases/ gives its exact message, exit code 2, and no output.

A case is a YAML file: ``command`` (arguments of fashionai), ``files`` (path to
text), ``images`` (paths of small sound JPEGs), ``bytes`` (path to base64),
``before`` (commands that run first and succeed), ``stderr`` (the exact text) and
``leaves`` (files that the refusal itself is there to write: lists of images).

Releases of Click and pydantic word their messages differently. Where a message
is theirs, ``[...]`` in ``stderr`` stands for any text, line breaks included, and
the case gives what this project put in: the option or key, what was found, and
the limits or choices.
"""

from __future__ import annotations

import base64
import re
import shlex
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fashionai.cli import COMMANDS
from fashionai.files.formats.yaml_files import load_yaml
from tests.support.commands import fashionai

CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))
WORDS_OF_LIBRARIES = [
    *("usage:", "for help", "no such option", "invalid value for", "missing option"),
    *("missing argument", "is not in the range", "is not one of '", "input should"),
    *("should have at", "valid integer", "valid number", "is a directory."),
]
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


def matches(text: str, expected: str) -> bool:
    """Whether the text is the expected one, in which each ``[...]`` stands for any text."""
    parts = [re.escape(part) for part in expected.split("[...]")]
    return re.fullmatch(".*".join(parts), text, flags=re.DOTALL) is not None


def files_here() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(Path().rglob("*")) if path.is_file()}


def test_every_command_has_a_case() -> None:
    assert {load_yaml(path)["command"].split()[0] for path in CASES} >= COMMANDS.keys()


def test_no_case_pins_the_words_of_a_library() -> None:
    pinned = {
        path.name: words
        for path in CASES
        for words in WORDS_OF_LIBRARIES
        if words in load_yaml(path)["stderr"].lower()
    }
    assert not pinned


def test_a_gap_stands_for_any_text_and_the_rest_is_exact() -> None:
    assert matches("Usage: x\n\nError: a 1.\n", "[...]x[...]\nError: a [...]\n")
    assert matches("a.b\n", "a.b\n")
    assert not matches("aab\n", "a.b\n")
    assert not matches("Error: a, found 1\n", "Error: [...], found 2\n")
    assert not matches("Error: a\nand b", "Error: [...]\n")


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
        assert fashionai(*shlex.split(command)) == 0, capsys.readouterr().err
    capsys.readouterr()
    before = files_here()

    code = fashionai(*shlex.split(case["command"]))

    errors = capsys.readouterr().err
    # Without a gap the plain comparison shows where the texts differ.
    assert errors == case["stderr"] or matches(errors, case["stderr"])
    assert code == 2
    assert "Traceback" not in errors
    after = files_here()
    assert sorted(after.keys() - before.keys()) == case.get("leaves", [])
    assert {name: after.get(name) for name in before} == before
