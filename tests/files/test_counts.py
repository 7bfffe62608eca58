"""Whole numbers in text, and each place that reads one from other people's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from fashionai.datasets.prepared.folders import read_split
from fashionai.datasets.prepared.folds import FOLDS_COLUMNS, read_folds
from fashionai.datasets.questions import read_images_to_predict
from fashionai.datasets.readers.label_list import read_label_list
from fashionai.errors import ConfigError, DataError
from fashionai.files.counts import parse_count
from fashionai.tasks import Task
from tests.support.prepared_data import write_prepared

# Python refuses to read as many.
DIGITS = "1" * 5000
TASK = Task("pets", (), ("cat", "dog"), "table")


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("12", 12), ("007", 7), ("9" * 18, 10**18 - 1)]
)
def test_counts(text: str, number: int) -> None:
    assert parse_count(text) == number


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", " 1", "1_0", "²", "٣", "9" * 19, DIGITS])
def test_other_texts(text: str) -> None:
    assert parse_count(text) is None


def test_a_label_of_many_digits(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text(f"a.jpg,{DIGITS}\nb.jpg,0\n")
    with pytest.raises(DataError, match=r"l\.csv:1: unknown label '111"):
        read_label_list(tmp_path / "l.csv", ("cat", "dog"))


def test_a_column_of_many_digits(tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("a,b\n")
    with pytest.raises(ConfigError, match=r"found '1{77}\.\.\.', .*q\.csv has columns 1 to 2"):
        read_images_to_predict(tmp_path / "q.csv", tmp_path, DIGITS)


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    rows = [("train", name, index, TASK.classes[index]) for index, name in enumerate("ab")]
    return write_prepared(tmp_path / "pets", TASK, rows)


def test_a_fold_of_many_digits(prepared: Path, tmp_path: Path) -> None:
    rows = [",".join(FOLDS_COLUMNS), *(f"pets,{name},{DIGITS}" for name in "ab")]
    (tmp_path / "folds.csv").write_text("\n".join(rows))
    with pytest.raises(DataError, match=r"folds\.csv:2: fold is '11.*\.\.\.'"):
        read_folds(tmp_path / "folds.csv", read_split(prepared, "train"))


def test_a_class_index_of_many_digits(prepared: Path) -> None:
    manifest = prepared / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("train,1,", f"train,{DIGITS},"))
    with pytest.raises(DataError, match=r"class_index is '11.*\.\.\.', expected 0 to 1"):
        read_split(prepared, "train")
