"""Tables of image paths and classes: the records that are read, and every error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fashionai.datasets.readers.image_files import safe_relative_path
from fashionai.datasets.readers.table import read_table
from fashionai.errors import ConfigError
from tests.support.data_trees import put
from tests.support.errors import error_of
from tests.support.tables import SKIP, pairs, read, write

OPTIONS = "Name them with --path-column and --label-column"
LABEL_OPTION = "Name it with --label-column"


def test_the_order_of_rows_changes_nothing_but_the_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    header = "path,label,split,group"
    rows = [
        f"{i}.jpg,{'abc'[i % 3]},{['train', 'val', 'test'][i // 3 % 3]},g{i}" for i in range(30)
    ]
    images = " ".join(f"{i}.jpg" for i in range(30))
    columns = {"split_column": "split", "group_column": "group"}
    tables = []
    for _ in range(3):
        rng.shuffle(rows)
        data_set = read(tmp_path, header, *rows, images=images, **columns)
        assert [image.source for image in data_set.images] == [row.split(",")[0] for row in rows]
        tables.append(
            (data_set.task, sorted(image._replace(where="") for image in data_set.images))
        )
    assert tables[0] == tables[1] == tables[2]


def test_the_given_order_of_classes_is_kept(tmp_path: Path) -> None:
    data_set = read(tmp_path, "a.jpg,big", "b.jpg,small", classes=["small", "big", "huge"])
    assert data_set.task.classes == ("small", "big", "huge")
    assert [image.class_index for image in data_set.images] == [1, 0]
    assert data_set.notes == []


def test_ids_are_completed_with_the_suffix_of_the_only_image(tmp_path: Path) -> None:
    images = "7.jpg 8.PNG v1.2.jpeg sub/9.webp x.txt"
    rows = ["7,a", "8,b", "v1.2,a", "sub/9,b"]
    data_set = read(tmp_path, *rows, images=images)
    assert pairs(data_set) == [
        ("7.jpg", "a"),
        ("8.PNG", "b"),
        ("v1.2.jpeg", "a"),
        ("sub/9.webp", "b"),
    ]
    assert error_of(read, tmp_path, *rows, "x,a") == (
        f"{tmp_path}/t.csv:5: image {tmp_path}/images/x does not exist. {SKIP}"
    )
    put(tmp_path / "images/8.bmp")
    assert error_of(read, tmp_path, *rows) == (
        f"{tmp_path}/t.csv:2: '8' matches 8.PNG and 8.bmp, expected a name with suffix"
    )


def test_backslashes_and_dots_are_plain_paths(tmp_path: Path) -> None:
    data_set = read(tmp_path, "./x/a.jpg,1", "x\\b.jpg,2", images="x/a.jpg x/b.jpg")
    assert pairs(data_set) == [("x/a.jpg", "1"), ("x/b.jpg", "2")]


@pytest.mark.parametrize("path", ["../a.jpg", "x/../../a.jpg", "/a.jpg", "\\a.jpg", "..\\a.jpg",
                                  "C:a.jpg", "c:\\a.jpg", "https://a.b/c.jpg"])  # fmt: skip
def test_paths_that_leave_the_folder_are_refused(tmp_path: Path, path: str) -> None:
    put(tmp_path / "a.jpg")
    assert error_of(read, tmp_path, "b.jpg,1", f"{path},2") == (
        f"{tmp_path}/t.csv:2: path '{path}' leaves the data folder, expected a path below it"
    )


def test_a_safe_path_is_normalised() -> None:
    for path, plain in (("a", "a"), ("./a//b/./c", "a/b/c"), ("a\\b", "a/b"), ("12:30.jpg",) * 2):
        assert safe_relative_path(path, "f:1", "x") == plain
    for path in ("", ".", "./"):
        assert error_of(safe_relative_path, path, "f:1", "x") == "f:1: no image path, expected x"


SPELLINGS = {
    "train": ["train", "Training", "TRAIN"],
    "val": ["val", "valid", "Validation", "dev"],
    "test": ["test", "Testing"],
}


def test_splits_are_known_in_their_usual_spellings(tmp_path: Path) -> None:
    expected = [(split, text) for split, texts in SPELLINGS.items() for text in texts]
    rows = [f"{i}.jpg,{'ab'[i % 2]},{text}" for i, (_, text) in enumerate(expected)]
    images = " ".join(f"{i}.jpg" for i in range(len(rows)))
    data_set = read(tmp_path, *rows, images=images, split_column="3")
    assert [image.split for image in data_set.images] == [split for split, _ in expected]
    assert data_set.notes == []


def test_without_validation_rows_train_has_no_split(tmp_path: Path) -> None:
    rows = ["file,label,split", "a.jpg,x,train", "b.jpg,y,test", "c.jpg,y,train"]
    data_set = read(tmp_path, *rows, split_column="split")
    assert [image.split for image in data_set.images] == [None, "test", None]
    note = "no validation images are given: they are chosen from the training images"
    assert data_set.notes == [note]


def test_an_empty_column_of_splits_gives_none(tmp_path: Path) -> None:
    data_set = read(tmp_path, "file,label,split", "a.jpg,x,", "b.jpg,y,", split_column="split")
    assert [image.split for image in data_set.images] == [None, None]


def test_an_unused_column_of_splits_is_logged(tmp_path: Path) -> None:
    data_set = read(tmp_path, "file,label,Split", "a.jpg,x,train", "b.jpg,y,val")
    assert [image.split for image in data_set.images] == [None, None]
    assert data_set.notes == ["column 'Split' is not used; --split-column Split would use it"]


def test_groups_are_kept(tmp_path: Path) -> None:
    rows = ["file,label,who", "a.jpg,x,ann", "b.jpg,y,", "c.jpg,y,ann"]
    data_set = read(tmp_path, *rows, group_column="who")
    assert [image.group for image in data_set.images] == ["ann", "", "ann"]


def test_a_repeated_row_counts_once(tmp_path: Path) -> None:
    data_set = read(tmp_path, "a.jpg,x", "b.jpg,y", "a,x", images="a.jpg b.jpg")
    assert pairs(data_set) == [("a.jpg", "x"), ("b.jpg", "y")]
    assert data_set.notes == ["1 repeated row skipped"]
    data_set = read(tmp_path, "a.jpg,x", "b.jpg,y", "a.jpg,x", "./b.jpg,y")
    assert data_set.notes == ["2 repeated rows skipped"]


REFUSED = {
    "empty label": (["a.jpg,x", "b.jpg,"], ":2: empty label"),
    "empty path": (["a.jpg,x", ",y"], ":2: no image path, expected a path below it"),
    "one missing": (
        ["a.jpg,x", "e.jpg,y"],
        ":2: image {images}/e.jpg does not exist. " + SKIP,
    ),
    "all missing": (["e.jpg,x", "f.jpg,y"], ":1: image {images}/e.jpg does not exist (and 1 more)"),
    "missing": (
        ["file,label", "a.jpg,x", "e.jpg,y", "x/f.jpg,y", "g.jpg,y"],
        ":3: image {images}/e.jpg does not exist (and 2 more). " + SKIP,
    ),
    "missing by case": (
        ["a.jpg,x", "B.JPG,y"],
        ":2: image {images}/B.JPG does not exist. Did you mean 'b.jpg'?",
    ),
    "two labels": (
        ["a.jpg,x", "b.jpg,y", "a.jpg,y"],
        ":3: a.jpg has label 'y' here and 'x' at {csv}:1",
    ),
    "too few fields": (["file,label", "a.jpg,x", "b.jpg"], ":3: found 1 field, expected 2"),
    "too many fields": (["a.jpg,x", "b.jpg,y", "c.jpg,x,y"], ":3: found 3 fields, expected 2"),
    "one class": (["a.jpg,x", "b.jpg,x"], ": found class 'x', expected at least two classes"),
    "line break": (
        ["a.jpg,x", 'b.jpg,"y', 'z"'],
        r": found class 'y\nz', expected a name on one line",
    ),
    "one field": (
        ["", "a.jpg", "b.jpg"],
        ":2: found one field, expected path and label separated by a comma, semicolon or tab",
    ),
    "nothing": ([], ": no rows"),
    "blank lines": (["", "  ", ""], ": no rows"),
    "header alone": (["file,label"], ": no rows"),
    "no label column": (
        ["file,a,b", "a.jpg,x,y"],
        f":1: found no label column among: 'file', 'a', 'b'. {LABEL_OPTION}",
    ),
    "no path column": (
        ["nr,label", "a.jpg,x"],
        f":1: found no path column among: 'nr', 'label'. {OPTIONS}",
    ),
    "two path columns": (
        ["id,file,label", "1,a.jpg,x"],
        f":1: found several path columns: 'id', 'file'. {OPTIONS}",
    ),
    "two label columns": (
        ["file,class,label", "a.jpg,x,y"],
        f":1: found several label columns: 'class', 'label'. {LABEL_OPTION}",
    ),
    "no header and three columns": (
        ["a.jpg,x,y", "b.jpg,x,y"],
        ":1: cannot tell without a header which columns hold paths and labels: a.jpg, x, y. "
        "Give their numbers with --path-column and --label-column",
    ),
    "two ones": (["id,x,y,z", "a.jpg,1,0,0", "b.jpg,1,0,1"],
                 ":3: found a 1 for 'x' and 'z', expected a 1 for exactly one class"),
    "no one": (["id,x,y,z", "a.jpg,1,0,0", "b.jpg,0,0,0"],
               ":3: found a 1 for no class, expected a 1 for exactly one class"),
    "neither zero nor one": (["id,x,y,z", "a.jpg,1,0,0", "b.jpg,0,2,0"],
                             ":3: column 'y' is '2', expected 0 or 1"),
    "one-hot column twice": (
        ["id,x,y,x", "a.jpg,1,0,0"],
        ":1: one-hot column 2 is named 'x', expected a class name that no other column has",
    ),
    "quote never closed": (["a.jpg,x", 'b.jpg,"y', "c.jpg,x"],
                           ":3: not valid CSV: unexpected end of data"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_rows_that_cannot_be_used_are_refused(tmp_path: Path, case: str) -> None:
    rows, problem = REFUSED[case]
    expected = problem.format(csv=tmp_path / "t.csv", images=tmp_path / "images")
    assert error_of(read, tmp_path, *rows) == f"{tmp_path}/t.csv{expected}"


REFUSED_SPLITS = {
    "unknown": (
        ["a.jpg,x,train,1", "b.jpg,y,tst,2"],
        ":2: unknown split 'tst'. Did you mean 'test'?",
    ),
    "one without": (
        ["a.jpg,x,train,1", "b.jpg,y,,2"],
        ":2: no split, but 'train' at {csv}:1; expected a split in every row or in none",
    ),
    "one with": (
        ["a.jpg,x,,1", "b.jpg,y,,1", "c.jpg,y,val,1"],
        ":1: no split, but 'val' at {csv}:3; expected a split in every row or in none",
    ),
    "group in two splits": (
        ["a.jpg,x,train,7", "b.jpg,y,val,8", "c.jpg,y,val,7"],
        ":3: group '7' is in val here and in train at {csv}:1",
    ),
    "an image in two splits": (
        ["a.jpg,x,train,7", "a.jpg,x,val,7"],
        ":2: a.jpg has split 'val' here and 'train' at {csv}:1",
    ),
    "an image in two groups": (
        ["a.jpg,x,train,7", "a.jpg,x,train,8"],
        ":2: a.jpg has group '8' here and '7' at {csv}:1",
    ),
    "none to train on": (["a.jpg,x,val,1", "b.jpg,y,test,2"], ": no images to train on"),
}


@pytest.mark.parametrize("case", REFUSED_SPLITS)
def test_splits_that_cannot_be_used_are_refused(tmp_path: Path, case: str) -> None:
    rows, problem = REFUSED_SPLITS[case]
    options = {"path_column": "1", "label_column": "2", "split_column": "3", "group_column": "4"}
    expected = problem.format(csv=tmp_path / "t.csv")
    assert error_of(read, tmp_path, *rows, **options) == f"{tmp_path}/t.csv{expected}"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"path_column": "3"}, "--path-column: found '3', {csv} has columns 1 to 2"),
        ({"label_column": "0"}, "--label-column: found '0', {csv} has columns 1 to 2"),
        (
            {"label_column": "lable"},
            "--label-column: {csv} has no column 'lable'. Did you mean 'label'?",
        ),
        (
            {"split_column": "x"},
            "--split-column: {csv} has no column 'x'. Choose from: file, label",
        ),
        (
            {"path_column": "file", "label_column": "1"},
            "--path-column and --label-column: both are column 1",
        ),
        ({"classes": ["x", "x"]}, "classes: 'x' is given twice"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path: Path, options, problem: str) -> None:
    rows = ["file,label", "a.jpg,x", "b.jpg,y"]
    assert error_of(read, tmp_path, *rows, kind=ConfigError, **options) == problem.format(
        csv=tmp_path / "t.csv"
    )


def test_a_name_that_two_columns_have_is_refused(tmp_path: Path) -> None:
    rows = ["file,x,x", "a.jpg,1,2"]
    assert error_of(read, tmp_path, *rows, kind=ConfigError, label_column="x") == (
        f"--label-column: {tmp_path}/t.csv has two columns 'x'. Give its number"
    )


def test_a_class_that_is_not_given_is_refused_with_its_line(tmp_path: Path) -> None:
    rows = ["a.jpg,small", "b.jpg,hug"]
    assert error_of(read, tmp_path, *rows, classes=["small", "huge"]) == (
        f"{tmp_path}/t.csv:2: class 'hug' is not one of the given classes. "
        "If 'huge' among them is a typing error, write 'hug'"
    )
    rows = ["c.jpg,huge", *rows]
    assert error_of(read, tmp_path, *rows, classes=["small", "huge"]) == (
        f"{tmp_path}/t.csv:3: class 'hug' is not one of the given classes. Did you mean 'huge'?"
    )


def test_files_that_are_no_tables_are_refused(tmp_path: Path) -> None:
    path, images = write(tmp_path)
    path.write_bytes("file,label\na.jpg,x\n".encode("utf-16")[:-1])
    assert error_of(read_table, "t", path, images) == (
        f"{path}: not UTF-8 text, expected rows of a table"
    )
    assert error_of(read_table, "t", tmp_path / "no.csv", images) == (
        f"{tmp_path}/no.csv: cannot be read: No such file or directory"
    )
    assert error_of(read_table, "t", images, images) == (
        f"{images}: cannot be read: Is a directory"
    )
    assert error_of(read_table, "t", path, tmp_path / "x") == (
        f"{tmp_path}/x: no such folder, expected the folder of the images"
    )
