"""Packaged configurations are found by name, and files stay files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fashionai.config import load_config
from fashionai.errors import ConfigError
from fashionai.packaged_configs import find_config, packaged_configs
from tests.support.commands import ROOT, fashionai

FILES = sorted((ROOT / "configs").glob("*.yaml"))


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(path: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return str(caught.value)


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_every_file_of_configs_is_packaged(file: Path) -> None:
    assert find_config(file.stem).read_bytes() == file.read_bytes()
    assert load_config(file.stem) == load_config(file)


def test_nothing_else_is_packaged() -> None:
    assert list(packaged_configs()) == [file.stem for file in FILES]


def test_a_file_of_that_name_wins_and_a_folder_does_not(tmp_path: Path) -> None:
    Path("pant").mkdir()
    Path("skirt").write_text("task: coat\n")
    assert load_config("skirt").task == "coat"
    assert load_config("pant").task == "pant"


@pytest.mark.parametrize("path", ["skirt.yml.txt", "configs/mine", "mine.yaml", "."])
def test_a_path_stays_a_path(path: str) -> None:
    assert find_config(path) == Path(path)


def test_the_error_for_an_unknown_name_names_the_nearest() -> None:
    missing = "no such file, and no packaged configuration has this name"
    assert refusal("skrit") == f"skrit: {missing}. Did you mean 'skirt'?"
    assert refusal("birds").startswith(
        f"birds: {missing}. Choose from: attributes, attributes_convnext, "
    )
    Path("configs").mkdir()
    Path("configs/birds.yaml").write_text("task: skirt\n")
    assert refusal("birds") == f"birds: {missing}. Did you mean 'configs/birds.yaml'?"
    Path("birds.yaml").write_text("task: skirt\n")
    assert refusal("birds") == f"birds: {missing}. Did you mean 'birds.yaml'?"


def test_a_missing_file_of_a_packaged_name_leads_to_the_name() -> None:
    assert refusal("configs/skirt.yaml") == (
        "configs/skirt.yaml: no such file. The packaged configuration is called 'skirt'"
    )
    Path("skirts.yaml").write_text("task: skirt\n")
    assert refusal("skirt.yaml") == (
        "skirt.yaml: no such file. Did you mean 'skirts.yaml', or the packaged configuration "
        "'skirt'?"
    )


def test_errors_call_the_configuration_by_its_name() -> None:
    with pytest.raises(ConfigError, match=r"^skirt: 1 error in the configuration\n  epoch: "):
        load_config("skirt", ["epoch=3"])


def test_config_lists_them_on_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert fashionai("config", "--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(FILES)
    for line, file in zip(lines, FILES):
        name, about = re.split(r"  +", line, maxsplit=1)
        assert name == file.stem
        assert file.read_text().startswith(f"# {about}\n")
        assert len(line) <= 80


@pytest.mark.parametrize(
    "command",
    [
        ["config", "skirt", "batch_size=0"],
        ["train", "--config", "skirt", "batch_size=0"],
        ["find-lr", "--config", "skirt", "batch_size=0"],
        ["preview", "--config", "skirt", "batch_size=0"],
        ["cross-validate", "--config", "skirt", "batch_size=0"],
        ["bench", "--config", "skirt", "batch_size=0"],
    ],
    ids=lambda command: command[0],
)
def test_every_command_takes_a_name(command, capsys: pytest.CaptureFixture[str]) -> None:
    """The one error that is found is that of the override."""
    assert fashionai(*command) == 2
    error = capsys.readouterr().err
    assert error.startswith("Error: skirt: 1 error in the configuration\n  batch_size: ")


@pytest.mark.parametrize("words", [[], ["skirt", "--list"], ["--list", "--schema"]])
def test_config_does_one_thing(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert fashionai("config", *words) == 2
    assert "give one of FILE_OR_NAME, --list and --schema" in capsys.readouterr().err
