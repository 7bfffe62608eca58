"""The generated tables name every key, option and command, and --check tells what differs."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

from fashionai.cli import root
from fashionai.config import known_keys
from fashionai.config.augmentations import AUGMENTATIONS
from tests.support.commands import ROOT

SCRIPT = ROOT / "scripts/make_docs.py"
PAGE = "# Page\n\n<!-- generated: keys -->\nold\n<!-- end of keys -->\nown words\n"


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, for pages of its own."""
    spec = importlib.util.spec_from_file_location("make_docs", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "DOCS", tmp_path / "docs")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/page.md").write_text(PAGE)
    return module


def run(script: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["make_docs.py", *arguments])
    script.main()


def test_a_page_that_differs_is_named_and_left_as_it_is(
    script: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match=re.escape("differs from the code: page.md")):
        run(script, monkeypatch, "--check")
    assert "-old" in capsys.readouterr().out
    assert (tmp_path / "docs/page.md").read_text() == PAGE


def test_what_was_written_does_not_differ(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(script, monkeypatch)
    written = (tmp_path / "docs/page.md").read_text()
    assert "\nold\n" not in written
    assert written.endswith("own words\n")
    run(script, monkeypatch, "--check")


def test_an_unknown_part_is_an_error(script: ModuleType) -> None:
    with pytest.raises(KeyError):
        script.fill(PAGE.replace("keys", "kinds"))


def test_every_key_has_its_place(script: ModuleType) -> None:
    tables = {"schedule": script.schedule_table(), "data.augment": script.augmentation_table()}
    for key in known_keys():
        section, _, name = key.rpartition(".")
        if section in tables and name != "name":
            assert f"| `{name}` |" in tables[section]
        elif key != "data.augment.name":
            assert f"| `{key}` |" in script.key_table()
    for step in AUGMENTATIONS:
        assert f"**`{step}`**" in script.augmentation_table()


@pytest.mark.parametrize(
    ("key", "cells"),
    [
        ("epochs", "integer | `40` | ≥ 1, ≤ 1000000 |"),
        ("data.mean", "list of 3 numbers or null | `null` | |"),
        ("optimizer.momentum", "number | `0.9` | ≥ 0, < 1 |"),
        ("model.pretrained", "boolean or string | `true` | |"),
        ("schedule.name", "string | `step` | `constant`, `step`, `cosine`, `one_cycle` |"),
        ("task", "string or list of strings | required | |"),
        ("seed", "integer | `0` | ≥ 0, < 2147483648 |"),
    ],
)
def test_a_key_has_type_default_and_range(script: ModuleType, key: str, cells: str) -> None:
    assert f"| `{key}` | {cells} " in script.key_table()


def commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")
        elif command is not None:
            yield prefix + name, command


@pytest.mark.parametrize(("name", "command"), list(commands(root)), ids=lambda value: str(value))
def test_every_option_is_listed(script: ModuleType, name: str, command: click.Command) -> None:
    sections = script.option_sections()
    section = re.search(rf"^## {name}$(.*?)(?=^## |\Z)", sections, flags=re.M | re.S)
    assert section is not None
    assert f"fashionai {name}" in section[1]
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert f"`{parameter.opts[0]}`" in section[1]
    assert f"[`{name}`](#{name.replace(' ', '-')})" in script.command_table()


def test_a_default_in_words_is_a_column(script: ModuleType) -> None:
    (option,) = (p for p in dict(commands(root))["prepare"].params if p.name == "val_fraction")
    assert isinstance(option, click.Option)
    meaning, _, default = (option.help or "").rstrip("]").partition("  [default: ")
    cells = ["`--val-fraction`", "number, ≥ 0, < 1", default, meaning]
    assert f"| {' | '.join(cells)} |" in script.option_sections()


def test_a_value_has_the_name_that_the_help_shows(script: ModuleType) -> None:
    sections = script.option_sections()
    assert "| `--classes` | A,B,C | sorted by name or number |" in sections
    assert "| `--threshold` | P\\|auto | |" in sections
