"""Headers, columns and delimiters of tables in every dialect, compared with pandas."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashionai.datasets.readers.table import read_table
from fashionai.tasks import Task
from tests.support.data_trees import put
from tests.support.tables import pairs, read, write


@pytest.mark.parametrize("delimiter", [",", ";", "\t", ", "])
@pytest.mark.parametrize("header", [None, ["path", "label"], ["Image ID", "Category"]])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_a_table_is_the_same_in_every_dialect(
    tmp_path: Path, delimiter: str, header, end: str, bom: bytes, quote: str
) -> None:
    rows = [["b.jpg", "two words"], ["a.jpg", "Ünï"], ["c.jpg", "two words"]]
    lines = [delimiter.join(quote + f + quote for f in row) for row in [header, *rows] if row]
    path, images = write(tmp_path)
    path.write_bytes(bom + end.join([*lines, ""]).encode())
    data_set = read_table("mine", path, images)
    assert data_set.task == Task("mine", (), ("two words", "Ünï"), "table")
    assert pairs(data_set) == [tuple(row) for row in rows]
    assert data_set.notes == []
    first_line = 1 if header is None else 2
    for line, (image, row) in enumerate(zip(data_set.images, rows), start=first_line):
        assert image.path == images / row[0]
        assert image.label == row[1]
        assert image.split is None
        assert (image.content, image.group) == (None, "")
        if end != "\r":  # which csv counts as one line
            assert image.where == f"{path}:{line}"


NAMES = [
    "a.jpg",
    "b c.PNG",
    "semi;colon.jpg",
    "com,ma.webp",
    'quo"te.jpg',
    "üñ.bmp",
    "deep/er/x.tif",
]
CLASS_NAMES = st.text(st.sampled_from("aZ;,\t\"' é漢0-"), min_size=1, max_size=6).filter(
    lambda text: text == text.strip() != ""
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_rows_are_those_that_pandas_reads(tmp_path_factory, data) -> None:
    folder = tmp_path_factory.mktemp("table")
    images = folder / "images"
    for name in NAMES:
        put(images / name)
    labels = data.draw(st.lists(CLASS_NAMES, min_size=2, max_size=7, unique=True), "labels")
    frame = pd.DataFrame({"path": NAMES[: len(labels)], "label": labels})
    if data.draw(st.booleans(), "label first"):
        frame = frame[["label", "path"]]
    separator = data.draw(st.sampled_from([",", ";", "\t"]), "separator")
    path = folder / "t.csv"
    frame.to_csv(
        path,
        sep=separator,
        index=False,
        encoding=data.draw(st.sampled_from(["utf-8", "utf-8-sig"]), "encoding"),
        quoting=data.draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), "quoting"),
        lineterminator=data.draw(st.sampled_from(["\n", "\r\n"]), "end"),
    )
    expected = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False)
    data_set = read_table("mine", path, images)
    assert pairs(data_set) == list(zip(expected["path"], expected["label"]))
    assert data_set.task.classes == tuple(sorted(expected["label"]))


@pytest.mark.parametrize(
    ("header", "options"),
    [
        ("nr,label,file,kind", {"label_column": "kind"}),
        ("nr,x,file,kind", {"label_column": "4"}),
        ("path,label,x,kind", {"path_column": "x", "label_column": "kind"}),
        ("nr,label,x,kind", {"path_column": "3", "label_column": "4"}),
        (None, {"path_column": "3", "label_column": "4"}),
    ],
)
def test_columns_are_found_by_name_and_number(tmp_path: Path, header, options) -> None:
    rows = [row for row in (header, "1,x,b.jpg,cat", "2,x,a.jpg,dog") if row]
    assert pairs(read(tmp_path, *rows, **options)) == [("b.jpg", "cat"), ("a.jpg", "dog")]


def test_a_label_in_front_of_the_path_without_header(tmp_path: Path) -> None:
    options = {"path_column": "2", "label_column": "1"}
    assert pairs(read(tmp_path, "cat,a.jpg", "dog,b.jpg", **options)) == [
        ("a.jpg", "cat"),
        ("b.jpg", "dog"),
    ]
    # With the label given, the path is the first of the others.
    assert pairs(read(tmp_path, "cat,a.jpg", "dog,b.jpg", label_column="1")) == [
        ("a.jpg", "cat"),
        ("b.jpg", "dog"),
    ]


@pytest.mark.parametrize(("zero", "one"), [("0", "1"), ("0.0", "1.0")])
def test_one_hot_columns_name_the_classes(tmp_path: Path, zero: str, one: str) -> None:
    rows = [
        f"a.jpg,{zero},{one},{zero}",
        f"b.jpg,{zero},{zero},{one}",
        f"c.jpg,{one},{zero},{zero}",
    ]
    data_set = read(tmp_path, "image_id,healthy,scab,rust", *rows)
    assert data_set.task.classes == ("healthy", "rust", "scab")
    assert pairs(data_set) == [("a.jpg", "scab"), ("b.jpg", "rust"), ("c.jpg", "healthy")]
    assert [image.label for image in data_set.images] == ["scab", "rust", "healthy"]


def test_one_hot_columns_beside_splits_and_an_index(tmp_path: Path) -> None:
    rows = ["0,a.jpg,train,1,0", "1,b.jpg,val,0,1", "2,c.jpg,train,0,1"]
    data_set = read(tmp_path, ",file,split,x,y", *rows, split_column="split")
    assert pairs(data_set) == [("a.jpg", "x"), ("b.jpg", "y"), ("c.jpg", "y")]
    assert [image.split for image in data_set.images] == ["train", "val", "train"]


def test_a_header_whose_column_is_called_as_an_image_file_is_no_row(tmp_path: Path) -> None:
    data_set = read(tmp_path, "image,label", "a.jpg,x", "b.jpg,y", images="a.jpg b.jpg image.jpg")
    assert data_set.task.classes == ("x", "y")


def test_delimiters_inside_labels_do_not_mislead(tmp_path: Path) -> None:
    for delimiter, other in itertools.permutations(",;\t", 2):
        labels = [f"x{other}1", f"y{other}2"]
        rows = [f"a.jpg{delimiter}{labels[0]}", f"b.jpg{delimiter}{labels[1]}"]
        assert [label for _, label in pairs(read(tmp_path, *rows))] == labels


def test_delimiters_inside_paths_do_not_mislead(tmp_path: Path) -> None:
    images = tmp_path / "images"
    put(images / "a,1.jpg")
    put(images / "b,2.jpg")
    path = put(tmp_path / "t.csv", "a,1.jpg;x\nb,2.jpg;y\n")
    assert pairs(read_table("t", path, images)) == [("a,1.jpg", "x"), ("b,2.jpg", "y")]
