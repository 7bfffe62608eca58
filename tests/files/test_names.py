"""Names in the spellings of several systems."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashionai.errors import DataError
from fashionai.files import atomic_path, write_json
from fashionai.files.formats.csv_files import write_rows
from fashionai.files.names import LONGEST_NAME, comparable, fitting, with_escaped_bytes

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def test_names_that_look_the_same_compare_as_the_same() -> None:
    assert COMPOSED != DECOMPOSED
    assert comparable(f" {DECOMPOSED} ") == COMPOSED


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300), st.sampled_from(["", ".x"]))
def test_a_fitting_name_is_as_long_as_a_file_system_takes(stem: str, ending: str) -> None:
    name = fitting(stem, ending)
    assert len(os.fsencode(name)) <= LONGEST_NAME
    assert name.endswith(ending)
    assert (stem + ending).startswith(name[: len(name) - len(ending)])
    if len(os.fsencode(stem + ending)) <= LONGEST_NAME:
        assert name == stem + ending


@pytest.mark.parametrize("name", ["x" * 251 + ".csv", "裙" * 83 + ".jpg"])
def test_a_file_of_the_longest_name_is_written(tmp_path: Path, name: str) -> None:
    with atomic_path(tmp_path / name) as temporary:
        temporary.write_bytes(b"content")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_name_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xb9\xb7.jpg")
    assert with_escaped_bytes(name) == r"\xb9\xb7.jpg"
    with pytest.raises(DataError, match=r"a\.csv: cannot hold .*\\xb9\\xb7\.jpg"):
        write_rows(tmp_path / "a.csv", [["image"], [name]])
    assert list(tmp_path.iterdir()) == []
    write_json(tmp_path / "a.json", {name: 1})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {name: 1}


def test_a_name_that_no_file_has_is_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.csv: cannot hold .*, which is not UTF-8 text"):
        write_rows(tmp_path / "a.csv", [["image"], ["\ud800.jpg"]])
