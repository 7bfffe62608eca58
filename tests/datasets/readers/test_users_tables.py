"""Tables as programs and people really write them: headers, labels, encodings, odd paths."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fashionai.datasets.readers.label_list import read_label_list
from fashionai.datasets.readers.table import read_table
from fashionai.errors import ConfigError, DataError
from tests.support.data_trees import put
from tests.support.errors import error_of
from tests.support.tables import SKIP, pairs, read, write

NUMBERS = {"path_column": "1", "label_column": "2"}


@pytest.mark.parametrize("columns", [{}, NUMBERS])
def test_the_first_of_several_ids_is_not_taken_for_a_header(tmp_path: Path, columns) -> None:
    """The image of the first row does not exist, which is an error and no header."""
    rows = [f"000{number},{'cat' if number % 2 else 'dog'}" for number in range(1, 6)]
    images = "0002.jpg 0003.jpg 0004.jpg 0005.jpg"
    assert error_of(read, tmp_path, *rows, images=images, **columns) == (
        f"{tmp_path}/t.csv:1: image {tmp_path}/images/0001 does not exist. {SKIP}"
    )
    # Not even where the label is seen for the first time.
    rows[0] = "0001,owl"
    assert "t.csv:1: image" in error_of(read, tmp_path, *rows, images=images, **columns)


def test_a_first_row_whose_label_returns_is_not_a_header(tmp_path: Path) -> None:
    rows = ["first,cat", "a,cat", "b,dog"]
    assert error_of(read, tmp_path, *rows) == (
        f"{tmp_path}/t.csv:1: image {tmp_path}/images/first does not exist. {SKIP}"
    )


def test_an_unusual_header_is_read_and_logged(tmp_path: Path) -> None:
    data_set = read(tmp_path, "photo,species", "a.jpg,cat", "b.jpg,dog", **NUMBERS)
    assert pairs(data_set) == [("a.jpg", "cat"), ("b.jpg", "dog")]
    assert data_set.guesses == [
        f"{tmp_path}/t.csv: fields are separated by commas",
        f"{tmp_path}/t.csv: the first row is the header: 'photo', 'species'",
        f"{tmp_path}/t.csv: paths in column 1 'photo', labels in column 2 'species'",
    ]


def test_columns_of_splits_and_groups_are_logged(tmp_path: Path) -> None:
    rows = ["file,label,part,who", "a.jpg,cat,train,x", "b.jpg,dog,val,y", "c.jpg,dog,train,x"]
    both = read(tmp_path, *rows, split_column="part", group_column="who").guesses[-1]
    columns = "paths in column 1 'file', labels in column 2 'label'"
    assert (
        both == f"{tmp_path}/t.csv: {columns}, splits in column 3 'part', groups in column 4 'who'"
    )
    only_groups = read(tmp_path, *rows, group_column="4").guesses[-1]
    assert only_groups == f"{tmp_path}/t.csv: {columns}, groups in column 4 'who'"


def test_a_missing_header_is_logged(tmp_path: Path) -> None:
    data_set = read(tmp_path, "a.jpg;cat", "b.jpg;dog")
    assert data_set.guesses == [
        f"{tmp_path}/t.csv: fields are separated by semicolons",
        f"{tmp_path}/t.csv: the first row is an image, there is no header: 'a.jpg', 'cat'",
        f"{tmp_path}/t.csv: paths in column 1, labels in column 2",
    ]


def test_a_header_of_column_numbers_makes_no_image_and_no_class(tmp_path: Path) -> None:
    """As pandas writes a table without column names, beside a file 0.jpg."""
    images = "0.jpg 1.jpg 2.jpg 3.jpg 4.jpg"
    rows = ["0,1", "1,a", "2,b", "3,a", "4,b"]
    data_set = read(tmp_path, *rows, images=images)
    assert data_set.task.classes == ("a", "b")
    assert [image.source for image in data_set.images] == ["1.jpg", "2.jpg", "3.jpg", "4.jpg"]


def test_numbers_that_are_rows_stay_rows(tmp_path: Path) -> None:
    data_set = read(tmp_path, "0,1", "1,0", "2,1", images="0.jpg 1.jpg 2.jpg")
    assert pairs(data_set) == [("0.jpg", "1"), ("1.jpg", "0"), ("2.jpg", "1")]
    # Listed again, the first row can only be the header.
    data_set = read(tmp_path, "0,1", "0,0", "1,1", "2,0", images="0.jpg 1.jpg 2.jpg")
    assert pairs(data_set) == [("0.jpg", "0"), ("1.jpg", "1"), ("2.jpg", "0")]


def test_a_header_is_one_even_if_an_image_has_its_name(tmp_path: Path) -> None:
    images = "image.jpg a.jpg b.jpg"
    data_set = read(tmp_path, "image,species", "a.jpg,x", "b.jpg,y", images=images, **NUMBERS)
    assert pairs(data_set) == [("a.jpg", "x"), ("b.jpg", "y")]


def test_whole_numbers_with_decimals_are_classes_in_numeric_order(tmp_path: Path) -> None:
    rows = ["path,label", "a.jpg,0.000000", "b.jpg,10.000000", "c.jpg,2.000000"]
    data_set = read(tmp_path, *rows)
    assert data_set.task.classes == ("0", "2", "10")
    assert pairs(data_set) == [("a.jpg", "0"), ("b.jpg", "10"), ("c.jpg", "2")]
    assert [image.label for image in data_set.images] == ["0.000000", "10.000000", "2.000000"]
    assert read(tmp_path, *rows, classes=["10", "2", "0"]).task.classes == ("10", "2", "0")
    written = ["10.000000", "2.000000", "0.000000"]
    assert read(tmp_path, *rows, classes=written).task.classes == tuple(written)


def test_numbers_that_are_not_whole_are_names_in_numeric_order(tmp_path: Path) -> None:
    data_set = read(tmp_path, "path,label", "a.jpg,10.5", "b.jpg,9.0", "c.jpg,-1")
    assert data_set.task.classes == ("-1", "9.0", "10.5")
    data_set = read(tmp_path, "path,label", "a.jpg,10", "b.jpg,9", "c.jpg,x")
    assert data_set.task.classes == ("10", "9", "x")


@pytest.mark.parametrize(("no", "yes"), [("False", "True"), ("FALSE", "TRUE"), ("false", "1")])
def test_one_hot_columns_of_true_and_false(tmp_path: Path, no: str, yes: str) -> None:
    rows = ["id,scab,rust", f"a.jpg,{yes},{no}", f"b.jpg,{no},{yes}"]
    assert pairs(read(tmp_path, *rows)) == [("a.jpg", "scab"), ("b.jpg", "rust")]


def test_rows_of_delimiters_alone_are_blank(tmp_path: Path) -> None:
    data_set = read(tmp_path, ",,", "path,label,", "a.jpg,x,", ",,", "b.jpg,y,", ",,", ",,")
    assert pairs(data_set) == [("a.jpg", "x"), ("b.jpg", "y")]


def test_labels_that_look_missing_are_classes_and_logged(tmp_path: Path) -> None:
    images = "1.jpg 2.jpg 3.jpg 4.jpg 5.jpg"
    labels = ["a", "b", "nan", "NA", "None"]
    rows = [f"{number}.jpg,{label}" for number, label in enumerate(labels, start=1)]
    data_set = read(tmp_path, *rows, images=images)
    assert [label for _, label in pairs(data_set)] == labels
    assert data_set.notes == [
        f"class '{name}' is a class like any other, not a missing label"
        for name in ("NA", "None", "nan")
    ]


def test_decomposed_letters_make_no_difference(tmp_path: Path) -> None:
    """The names of files and folders are decomposed, those of the table composed."""
    composed, decomposed = "\u00e9t\u00e9", "e\u0301te\u0301"
    put(tmp_path / f"images/{decomposed}/{decomposed} 1.jpg")
    put(tmp_path / f"images/{decomposed}/2.jpg")
    rows = [f"{composed}/{composed} 1.jpg,{composed}", f"{decomposed}/2,{decomposed}", "a.jpg,x"]
    data_set = read(tmp_path, *rows)
    assert data_set.task.classes == ("x", composed)
    assert all(image.path.is_file() for image in data_set.images)
    assert [image.class_index for image in data_set.images] == [1, 1, 0]


def test_blanks_around_the_name_of_a_file_make_no_difference(tmp_path: Path) -> None:
    put(tmp_path / "images" / " b 1.jpg")
    data_set = read(tmp_path, "a.jpg,x", " b 1.jpg,y")
    assert [image.source for image in data_set.images] == ["a.jpg", " b 1.jpg"]


def test_absolute_paths_below_the_folder_of_images_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "images")
    for place in ("images", "link"):
        rows = [f"{tmp_path}/{place}/a.jpg,x", "b.jpg,y"]
        path, _ = write(tmp_path, *rows)
        assert pairs(read_table("t", path, tmp_path / place))[0] == ("a.jpg", "x")
    put(tmp_path / "images2/a.jpg")
    assert "leaves the data folder" in error_of(
        read, tmp_path, f"{tmp_path}/images2/a.jpg,x", "b.jpg,y"
    )


@pytest.mark.parametrize("codec", ["gbk", "utf-16"])
def test_a_table_of_a_spreadsheet_is_read_and_its_encoding_logged(
    tmp_path: Path, codec: str
) -> None:
    path, images = write(tmp_path)
    path.write_bytes("path,label\na.jpg,短裙\nb.jpg,长裙\n".encode(codec))
    data_set = read_table("t", path, images)
    assert [label for _, label in pairs(data_set)] == ["短裙", "长裙"]
    name = "GB18030" if codec == "gbk" else "UTF-16"
    assert data_set.guesses[0] == f"{path}: read as {name}, not UTF-8"


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_first_line_of_many_characters_is_an_error_of_one_short_line(
    tmp_path: Path, quote: str
) -> None:
    for row in (f"{quote}{'x' * 140_000}", f"{'y' * 140_000},z", f"{quote}{'z,' * 70_000}"):
        message = error_of(read, tmp_path, row, "a.jpg,x")
        assert message.startswith(f"{tmp_path}/t.csv")
        assert len(message) < 1000


def test_a_long_path_is_cut_in_the_message(tmp_path: Path) -> None:
    for name in ("x" * 100_000, "x/" * 50_000):
        message = error_of(read, tmp_path, "a.jpg,x", f"{name}.jpg,y")
        assert "t.csv:2: image" in message
        assert len(message) < 1000


def labels_in(folder: Path, text: str, classes: tuple[str, ...]) -> list[int]:
    (folder / "l.csv").write_text(text)
    return [row.label_index for row in read_label_list(folder / "l.csv", classes)]


def test_names_and_indices_of_classes_are_never_mixed(tmp_path: Path) -> None:
    """With the classes 1, 2, 3 the labels 0, 1, 2 must not become 1, 1, 2."""
    classes = ("1", "2", "3")
    with pytest.raises(DataError, match=r"l\.csv:2: unknown label '0'"):
        labels_in(tmp_path, "path,label\na.jpg,0\nb.jpg,1\nc.jpg,2\n", classes)
    with pytest.raises(DataError, match=r"l\.csv:2: unknown label '0'"):
        labels_in(tmp_path, "path,label\na.jpg,0\nb.jpg,0\n", classes)
    assert labels_in(tmp_path, "path,label\na.jpg,3\nb.jpg,1\n", classes) == [2, 0]
    assert labels_in(tmp_path, "path,label\na.jpg,3.0\nb.jpg,1.0\n", classes) == [2, 0]
    with pytest.raises(DataError, match=r"l\.csv:3: unknown label '1'"):
        labels_in(tmp_path, "path,label\na.jpg,cat\nb.jpg,1\n", ("cat", "dog"))
    assert labels_in(tmp_path, "path,label\na.jpg,1.0\nb.jpg,0.0\n", ("cat", "dog")) == [1, 0]


def test_how_labels_were_read_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "fashionai")
    labels_in(tmp_path, "path;label\na.jpg;1\nb.jpg;0\n", ("cat", "dog"))
    assert [record.getMessage().partition("l.csv: ")[2] for record in caplog.records] == [
        "fields are separated by semicolons",
        "the first row is the header: 'path', 'label'",
        "paths in column 1 'path', indices of classes in column 2 'label'",
    ]


def test_files_named_in_bytes_do_not_disturb_others(tmp_path: Path) -> None:
    write(tmp_path)
    put(Path(os.fsdecode(os.fsencode(tmp_path / "images") + b"/\xb9\xb7.jpg")))
    assert len(read(tmp_path, "a,x", "b,y").images) == 2


def test_a_class_that_is_given_twice_in_two_spellings_is_refused(tmp_path: Path) -> None:
    rows = ["a.jpg,x", "b.jpg,y"]
    classes = ["e\u0301", "\u00e9", "x", "y"]
    assert "is given twice" in error_of(read, tmp_path, *rows, kind=ConfigError, classes=classes)
