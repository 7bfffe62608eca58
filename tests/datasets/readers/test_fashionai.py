"""Label, question and answer files of the FashionAI sets."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashionai.datasets.readers.fashionai import (
    AttributeRow,
    image_name,
    parse_label,
    read_answers,
    read_attribute_rows,
    read_question_file,
    read_training_images,
)
from fashionai.families import FASHIONAI_TASKS, find_task
from fashionai.metrics import MAYBE, NO, YES
from tests.support.errors import error_of

SKIRT, PANT = find_task("skirt"), find_task("pant")
BASE = "base/Annotations/label.csv"
WEB = "web/Annotations/skirt_length_labels.csv"
ROUND2 = "train/Annotations/label.csv"


def put(path: Path, *rows: str, end: str = "\n", encoding: str = "utf-8") -> Path:
    """A label file with its images beside it (empty: reading labels opens none)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(row + end for row in rows).encode(encoding))
    for row in rows:
        name = row.split(",")[0].strip('" ')
        if name.startswith("Images/"):
            image = path.parent.parent / name
            image.parent.mkdir(parents=True, exist_ok=True)
            image.touch()
    return path


def skirt(name: str, label: str = "nynnnn") -> str:
    return f"Images/skirt_length_labels/{name}.jpg,skirt_length_labels,{label}"


@pytest.mark.parametrize("header", [[], ["image,task,label"], ["image_id, category, class"]])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_rows_are_the_same_with_header_bom_and_crlf(
    tmp_path: Path, header: list[str], end: str, encoding: str
) -> None:
    path = put(
        tmp_path / BASE, *header, skirt("a"), "", skirt("b", "nnnnmy"), end=end, encoding=encoding
    )
    rows = read_attribute_rows(path)
    assert [(row.image[-5:], row.task, row.label) for row in rows] == [
        ("a.jpg", SKIRT, "nynnnn"),
        ("b.jpg", SKIRT, "nnnnmy"),
    ]
    assert [row.where for row in rows] == [
        f"{path}:{1 + len(header)}",
        f"{path}:{3 + len(header)}",
    ]


@pytest.mark.parametrize("image", ["Images/skirt_length_labels/a.gif", "a.gif", "a.TIFF"])
def test_a_first_row_with_a_path_is_no_header_whatever_its_suffix(
    tmp_path: Path, image: str
) -> None:
    path = put(tmp_path / BASE, f"{image},skirt_length_labels,nynnnn")
    assert len(read_attribute_rows(path)) == 1


def test_quoted_fields_and_spaces_around_them_do_not_count(tmp_path: Path) -> None:
    path = put(tmp_path / BASE, '"Images/a, b.jpg" ,"skirt_length_labels" , nynnnn ')
    (row,) = read_attribute_rows(path)
    assert (row.image, row.label) == ("Images/a, b.jpg", "nynnnn")


def test_all_three_training_sets_are_read_in_order_of_release(tmp_path: Path) -> None:
    put(tmp_path / ROUND2, skirt("r"))
    put(tmp_path / BASE, skirt("a"), "Images/p.jpg,pant_length_labels,nynnnn", skirt("b", "ynnnnn"))
    put(tmp_path / WEB, "image,task,label", skirt("a", "nnynnn"))
    images = read_training_images(tmp_path, SKIRT)
    assert [(i.source, i.class_index) for i in images] == [
        ("base/Images/skirt_length_labels/a.jpg", 1),
        ("base/Images/skirt_length_labels/b.jpg", 0),
        ("web/Images/skirt_length_labels/a.jpg", 2),
        ("train/Images/skirt_length_labels/r.jpg", 1),
    ]
    assert [image.path for image in images] == [tmp_path / image.source for image in images]
    assert [image_name(i.source) for i in images[:1]] == ["Images/skirt_length_labels/a.jpg"]
    assert [i.source for i in read_training_images(tmp_path, PANT)] == ["base/Images/p.jpg"]


@pytest.mark.parametrize("present", [BASE, WEB, ROUND2])
def test_one_training_set_is_enough(tmp_path: Path, present: str) -> None:
    put(tmp_path / present, skirt("a"))
    assert len(read_training_images(tmp_path, SKIRT)) == 1


def test_a_bad_label_of_another_task_is_refused_too(tmp_path: Path) -> None:
    put(tmp_path / BASE, skirt("a"), "Images/p.jpg,pant_length_labels,nnnnnn")
    message = error_of(read_training_images, tmp_path, SKIRT)
    assert message == f"{tmp_path / BASE}:2: label 'nnnnnn' has 0 'y', expected one"


def test_missing_images_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    put(tmp_path / BASE, skirt("a"), skirt("b"), skirt("c"))
    folder = tmp_path / "base/Images/skirt_length_labels"
    (folder / "b.jpg").unlink()
    (folder / "c.jpg").unlink()
    message = error_of(read_training_images, tmp_path, SKIRT)
    assert message == (f"{tmp_path / BASE}:2: image {folder / 'b.jpg'} does not exist (and 1 more)")


@pytest.mark.parametrize(
    "image",
    ["../a.jpg", "Images/../../a.jpg", "/a.jpg", "..\\a.jpg", "\\a.jpg", "C:\\a.jpg", "c:/a.jpg"],
)
def test_a_path_that_leaves_the_data_folder_is_refused(tmp_path: Path, image: str) -> None:
    path = put(tmp_path / BASE, skirt("ok"), f"{image},skirt_length_labels,nynnnn")
    assert (
        error_of(read_attribute_rows, path)
        == f"{path}:2: path '{image}' leaves the data folder, expected Images/<task>/<file>"
    )


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b'Images/a.jpg,"' + b"x" * 200_000], ids=["utf-16", "long field"]
)
def test_what_is_no_csv_is_one_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "label.csv"
    path.write_bytes(content)
    assert error_of(read_attribute_rows, path).startswith(
        (f"{path}:1: not valid CSV", f"{path}: not UTF-8")
    )


@given(st.sampled_from(FASHIONAI_TASKS), st.data())
def test_a_labels_marks_are_its_letters(task, data) -> None:
    classes = len(task.classes)
    label = data.draw(st.text("nm", min_size=classes, max_size=classes))
    truth = data.draw(st.integers(0, classes - 1))
    label = label[:truth] + "y" + label[truth + 1 :]
    marks = parse_label(AttributeRow("a.jpg", task, label, "f:1"))
    assert marks.argmax() == truth
    assert "".join({NO: "n", MAYBE: "m", YES: "y"}[mark] for mark in marks) == label


@given(st.sampled_from(FASHIONAI_TASKS), st.text("ynmYN -", max_size=11))
def test_every_other_label_is_refused_with_its_place(task, label: str) -> None:
    right = (
        len(label) == len(task.classes) and label.count("y") == 1 and not set(label) - set("ynm")
    )
    row = AttributeRow("a.jpg", task, label, "f.csv:7")
    if right:
        assert parse_label(row).shape == (len(task.classes),)
    else:
        assert error_of(parse_label, row).startswith(f"f.csv:7: label '{label}' has ")


def test_a_label_has_a_mark_for_each_letter() -> None:
    rows = [AttributeRow("a", SKIRT, "ynnnnn", "f:1"), AttributeRow("b", SKIRT, "nnmynn", "f:2")]
    marks = [parse_label(row) for row in rows]
    np.testing.assert_array_equal(marks, [[2, 0, 0, 0, 0, 0], [0, 0, 1, 2, 0, 0]])


def test_questions_are_found_beside_their_own_folder_in_file_order(tmp_path: Path) -> None:
    path = put(
        tmp_path / "rank/Tests/question.csv",
        skirt("b", ""),
        "Images/pant_length_labels/x.jpg,pant_length_labels,",
        "Images/skirt_length_labels/a.jpg,skirt_length_labels",
    )
    questions = read_question_file(path, path.parent.parent)
    assert [asked.path.relative_to(tmp_path).as_posix() for asked in questions] == [
        "rank/Images/skirt_length_labels/b.jpg",
        "rank/Images/pant_length_labels/x.jpg",
        "rank/Images/skirt_length_labels/a.jpg",
    ]
    assert [asked.task for asked in questions] == [SKIRT, PANT, SKIRT]


def test_a_question_file_may_list_an_image_for_two_tasks(tmp_path: Path) -> None:
    path = put(
        tmp_path / "rank/Tests/question.csv",
        "Images/a.jpg,pant_length_labels,",
        "Images/a.jpg,skirt_length_labels,",
    )
    assert len(read_question_file(path, path.parent.parent)) == 2


def test_answers_that_repeat_a_row_count_once(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", skirt("a"), skirt("b"), skirt("a"))
    assert [row.image[-5:] for row in read_answers(path)] == ["a.jpg", "b.jpg"]


def test_answers_that_contradict_name_both_lines(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", skirt("a"), skirt("a", "ynnnnn"))
    assert error_of(read_answers, path) == (
        f"{path}:2: Images/skirt_length_labels/a.jpg has label 'ynnnnn' here "
        f"and 'nynnnn' at {path}:1"
    )


@pytest.mark.parametrize("read", [partial(read_question_file, data=Path()), read_answers])
@pytest.mark.parametrize("rows", [[], ["image,task,label"]])
def test_files_without_rows_are_refused(tmp_path: Path, read, rows: list[str]) -> None:
    path = put(tmp_path / "Tests/q.csv", *rows)
    assert error_of(read, path) == f"{path}: no rows"
