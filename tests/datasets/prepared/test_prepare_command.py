"""The command that prepares a folder, as errors name it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from fashionai.datasets.prepared.folders import read_split, read_task
from tests.support.errors import error_of


@pytest.mark.parametrize("call", [read_task, lambda folder: read_split(folder, "train")])
def test_the_error_of_an_unprepared_folder_names_the_command(tmp_path: Path, call) -> None:
    folder = tmp_path / "skirt_length_labels"
    assert error_of(call, folder) == (
        f"{folder}: not a prepared folder (no manifest.csv). "
        f"Run: fashionai prepare --task skirt_length_labels --out {tmp_path}"
    )


def test_the_command_for_a_folder_of_another_data_folder_names_that_one(tmp_path: Path) -> None:
    out = tmp_path / "train_valid"
    assert error_of(read_task, out / "skirt_length_labels").endswith(
        f"Run: fashionai prepare --task skirt_length_labels --out {out} --data {tmp_path}"
    )


def test_a_command_is_read_by_a_shell_as_it_is_meant(tmp_path: Path) -> None:
    out = tmp_path / "my data/train_valid"
    _, _, command = error_of(read_task, out / "skirt_length_labels").partition("Run: ")
    places = ["--out", str(out), "--data", str(out.parent)]
    assert shlex.split(command) == (
        ["fashionai", "prepare", "--task", "skirt_length_labels", *places]
    )
    assert "--task 'my skirts' --out" in error_of(read_task, out / "my skirts")
