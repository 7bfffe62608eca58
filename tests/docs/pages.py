"""The commands and programs of the documentation, and how tests run them.

``fashionai`` commands run in this process, one after the other in the order of their page, in a
folder with small stand-ins for the data sets. What would take hours or a network is replaced:

- training commands get QUICK, settings that take seconds;
- commands of SMALLER get fewer images or steps;
- REPLACED words stand for data, GPUs and downloads that a test cannot have;
- shell scripts run in a copy of the repository whose installed programs are stubs; what they call
  ``fashionai`` with is parsed but not run (tests/scripts runs them for real on a small tree);
- servers, which run until they are stopped, are parsed but not run (tests/serving and
  tests/browser run them);
- commands in blocks of ``text`` install packages, need Docker or belong into start-up files: they
  are not run here, but scripts/check_wheel.sh and tests/cli/test_completion.py do the same;
- scripts that install something, and Python scripts, are asked for their usage, which must have the
  options of the page.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from fashionai.cli import main
from tests.support.commands import ROOT, fashionai

README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = {page.name: page for page in (README, *sorted(DOCS.glob("*.md")))}

QUICK = [
    *("model.name=small_cnn", "model.pretrained=false", "epochs=1", "batch_size=16"),
    *("data.resize_short=36", "data.crop=32"),
]
# Where the numbers of images of a page would take minutes.
SMALLER = {
    "demo": ["--train-images", "60", "--test-images", "12"],
    "find-lr": ["--steps", "20"],
    "cross-validate": ["--crops", "1"],
    "bench": ["--seconds", "0.05"],
}
SERVERS = ("review", "serve")
REPLACED = {
    "[[0, 128], [0.6, 224]]": "[[0, 24]]",
    "--min-probability 0.95": "--min-probability 0",
    "/usr/share/datasets/fashion-mnist": "idx",
    "--gpus 0,1,2,3": "--device cpu",
    "--gpus 0,1": "--device cpu",
    "mobilenetv2_1.0 --from package": "resnet18_v1b --from weights.params",
    "resnet50-0676ba61.pth --model resnet50_v1b": "weights.params --model resnet18_v1b",
}
INSTALLING = ("./scripts/setup.sh", "./scripts/check_gpu_install.sh")
STUBS = ("python", "pytest", "ruff", "mypy", "lint-imports", "activate")
RECORD = '#!/bin/sh\nprintf "%s " "$@" >>calls\necho >>calls\n'


class Block(NamedTuple):
    """A code block; the language of an indented one is ``indented``."""

    language: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    """All code blocks of a page, in order."""
    fence, indented = "", list[str]()
    lines: list[str] = []
    for line in [*page.read_text(encoding="utf-8").splitlines(), ""]:
        if line.startswith("```"):
            if lines or fence:
                yield Block(fence, "\n".join(lines) + "\n")
                fence, lines = "", []
            else:
                fence = line[3:] or "text"
        elif fence:
            lines.append(line)
        elif line.startswith("    "):
            indented.append(line[4:])
        elif indented:
            yield Block("indented", "\n".join(indented) + "\n")
            indented = []
    assert not fence, f"{page}: a fence is not closed"


def commands_of(block: Block) -> list[str]:
    """The commands of a block, without comments; those of other languages have none."""
    if block.language not in ("sh", "indented"):
        return []
    lines = block.text.replace("\\\n", " ").splitlines()
    return [line for line in (line.split(" #")[0].strip() for line in lines) if line]


def all_commands(page: Path) -> list[str]:
    """The commands of a page, in order."""
    return [command for block in blocks(page) for command in commands_of(block)]


def run_page(
    page: Path, monkeypatch: pytest.MonkeyPatch, quick: list[str], names: Mapping[str, str] = {}
) -> None:
    """Run all commands and Python programs of a page in order.

    ``names`` replaces text of Python programs.
    """
    namespace: dict[str, object] = {}
    for block in blocks(page):
        if block.language == "python":
            program = block.text
            for name, stand_in in names.items():
                program = program.replace(name, stand_in)
            run_program(program, page.name, namespace)
        for command in commands_of(block):
            run_command(command, monkeypatch, quick)


def run_program(program: str, name: str, namespace: dict[str, object]) -> None:
    """Run a Python program of a page after those before it."""
    exec(compile(program, name, "exec"), namespace)


def run_command(command: str, monkeypatch: pytest.MonkeyPatch, quick: list[str]) -> None:
    """Run a command of a page, or what stands for it; a failure names it."""
    program, *arguments = shlex.split(command)
    while re.fullmatch(r"[A-Z_]+=\S*", program):
        monkeypatch.setenv(*program.split("=", 1))
        program, *arguments = arguments
    if program == "fashionai":
        run_fashionai(shlex.join(arguments), quick)
    elif program.endswith("python"):
        check_options([sys.executable, ROOT / arguments[0], "--help"], arguments[1:])
    elif program in INSTALLING:
        check_options(["grep", "^#", ROOT / program], arguments)
    elif program.startswith("./") or program == "source":
        run_script(command, monkeypatch)
    else:
        pytest.fail(f"a page has a command that no test runs: {command}")


def run_fashionai(command: str, quick: list[str]) -> None:
    """Run the command line in this process; its output may go to a file."""
    command, _, file = command.partition(" '>' ")
    for words, stand_in in REPLACED.items():
        command = command.replace(words, stand_in)
    arguments = shlex.split(command)
    if "--config" in arguments and "--resume" not in arguments:
        # Weights of a run that the page has trained before.
        starts = any(each.startswith("model.pretrained=runs/") for each in arguments)
        arguments += [each for each in quick if not (starts and "pretrained" in each)]
    if arguments[0] in SERVERS:
        check_arguments(arguments)
        return
    with contextlib.ExitStack() as stack:
        if file:
            output = stack.enter_context(open(file, "w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(output))
        code = fashionai(*arguments, *SMALLER.get(arguments[0], []))
    assert code == 0, f"{command}: exit code {code}"


def check_arguments(arguments: list[str]) -> None:
    """The command line takes these arguments; nothing is invoked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(click.Command, "invoke", lambda self, context: None)
        assert parses(arguments), f"fashionai {shlex.join(arguments)}"


def check_options(usage: list[object], arguments: list[str]) -> None:
    """The usage of a script has all options that a page gives it."""
    told = subprocess.run(usage, capture_output=True, text=True, check=True).stdout
    for option in (word for word in arguments if word.startswith("-")):
        assert re.search(rf"{option}\b", told), f"{usage}: no option {option}"


def run_script(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a shell script with stubs for what it calls, and parse its calls of fashionai."""
    project = Path("project").absolute()
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree(ROOT / "scripts", project / "scripts")
    shutil.copyfile(ROOT / "benchmark.sh", project / "benchmark.sh")
    (project / "configs").symlink_to(ROOT / "configs")
    programs = project / ".venv/bin"
    programs.mkdir(parents=True)
    setups = (project / "scripts/setup.sh", project / "scripts/bench/setup.sh")
    for stub in (*(programs / name for name in STUBS), *setups):
        stub.write_text("#!/bin/sh\n:\n")
    (programs / "fashionai").write_text(RECORD)
    for file in (project / "benchmark.sh", *setups, *programs.iterdir()):
        file.chmod(0o755)
    monkeypatch.setenv("TORCH_PYTHON", "python3")
    done = subprocess.run(["bash", "-c", command], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    calls = project / "calls"
    with monkeypatch.context() as patch:
        patch.setattr(click.Command, "invoke", lambda self, context: None)
        for call in calls.read_text().splitlines() if calls.exists() else []:
            assert parses(call.split()), f"{command} calls fashionai {call}"


def parses(arguments: list[str]) -> bool:
    """Whether the command line takes these arguments; nothing may be invoked."""
    try:
        main(arguments)
    except SystemExit as stop:
        return not stop.code
    return True
