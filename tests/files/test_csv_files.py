"""CSV with the place of every row."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from fashionai.errors import FashionAIError, shown
from fashionai.files.formats.csv_files import (
    csv_text,
    lines_of,
    read_csv_rows,
    rows_below,
    write_rows,
)
from tests.support.data_trees import put
from tests.support.errors import error_of


def test_places_count_lines_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbfa, b\r\n\r\n"c\nd",e\nf,g\n')
    rows = list(read_csv_rows(path))
    assert rows[0] == (["a", "b"], f"{path}:1")
    assert rows[1] == (["c\nd", "e"], f"{path}:4")
    assert rows[2] == (["f", "g"], f"{path}:5")


@pytest.mark.parametrize("text", ["", "a", "a\n", "a\r\rb\r\n\r\nc", "\n\ra\x0b\u2028b\n", "a\r"])
def test_lines_are_those_of_the_standard_library(text: str) -> None:
    assert list(lines_of(text)) == list(io.StringIO(text, newline=""))


def test_what_is_written_is_read_by_the_standard_library(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [["x,y", 'say "hi"'], ["line\nfeed", "ü"], ["carriage\rreturn", "both\r\n"]]
    write_rows(path, rows)
    text = path.read_bytes().decode()
    assert text.startswith('"x,y","say ""hi"""\n"line')
    assert text == csv_text(rows)
    with open(path, encoding="utf-8", newline="") as handle:
        assert list(csv.reader(handle)) == rows
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b'"' + b"x" * 200_000])
def test_what_is_no_csv_is_an_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(FashionAIError, match=r"a\.csv.*: not"):
        list(read_csv_rows(path))
    with pytest.raises(FashionAIError, match=r"b\.csv: no such file"):
        list(read_csv_rows(tmp_path / "b.csv"))


@pytest.mark.parametrize("mark", [";", "\t"])
def test_a_file_that_a_spreadsheet_saved_in_another_way_is_known(tmp_path: Path, mark: str) -> None:
    path = put(tmp_path / "a.csv", f"path{mark}label\na.jpg{mark}owl\n")
    assert error_of(lambda: list(rows_below(path, ("path", "label")))) == (
        f"{path}:1: found columns 'path{shown(mark)}label', expected path,label. "
        "Save it with commas between the fields"
    )
