"""Folders as users have them: links, files of other kinds, names that CSV files cannot hold."""

from __future__ import annotations

import csv
import gzip
import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from fashionai.datasets.prepared.folders import plan_folders, read_split, write_folders
from fashionai.datasets.prepared.manifest import MANIFEST
from fashionai.datasets.questions import list_images, read_images_to_predict
from fashionai.datasets.readers.class_folders import read_class_folders
from fashionai.datasets.readers.fashionai import (
    read_attribute_data_set,
    read_label_rows,
    read_question_file,
    read_training_images,
)
from fashionai.datasets.readers.idx import read_idx
from fashionai.errors import DataError
from fashionai.families import find_task
from fashionai.tasks import Task, task_from_json, task_to_json
from tests.support.data_trees import put
from tests.support.errors import error_of
from tests.support.images import encode

SKIRT = find_task("skirt")
JPEG = encode(0, np.random.default_rng(0))
# What an EPS file begins with, which Pillow knows.
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\n%%EOF\n"
BYTES_NAME = os.fsdecode(b"\xb9\xb7.jpg")


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_files_that_are_no_photographs_are_left_out_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "fashionai")
    for name, content in {
        "a.jpg": JPEG,
        "1f3a": JPEG,
        "sub/v 5.2 m": JPEG,
        "weights.h5": b"\x89HDF\r\n\x1a\n" + bytes(100),
        "logo.ai": EPS,
        "logo": EPS,
        "1.jpg~": JPEG,
        "1.jpg.part": JPEG,
    }.items():
        put(tmp_path / name, content)
    assert list_images(tmp_path) == ["1f3a", "a.jpg", "sub/v 5.2 m"]
    assert messages(caplog) == [
        f"{tmp_path}: 5 files skipped because they are not images: 1.jpg.part, 1.jpg~, logo, ..."
    ]


def test_links_to_folders_are_followed_and_loops_refused(tmp_path: Path) -> None:
    put(tmp_path / "photos/a.jpg")
    put(tmp_path / "other/b.jpg")
    put(tmp_path / "photos/__MACOSX/._a.jpg")
    (tmp_path / "photos/link").symlink_to(tmp_path / "other")
    assert list_images(tmp_path / "photos") == ["a.jpg", "link/b.jpg"]
    (tmp_path / "other/up").symlink_to(tmp_path / "photos")
    assert error_of(list_images, tmp_path / "photos") == (
        f"{tmp_path}/photos/link/up: is a link to a folder above it. Remove the link"
    )


def test_names_that_are_not_text_are_one_line_before_anything_is_computed(tmp_path: Path) -> None:
    put(tmp_path / "cat" / BYTES_NAME)
    put(tmp_path / "dog/1.jpg")
    expected = rf"{tmp_path}/cat/\xb9\xb7.jpg: the name is not UTF-8 text. Rename it"
    assert error_of(list_images, tmp_path) == expected
    assert error_of(read_class_folders, "pets", tmp_path) == expected


def test_class_folders_know_images_without_suffix(tmp_path: Path) -> None:
    put(tmp_path / "cat/1f3a", JPEG)
    put(tmp_path / "dog/1.jpg", JPEG)
    data_set = read_class_folders("pets", tmp_path)
    assert [image.source for image in data_set.images] == ["cat/1f3a", "dog/1.jpg"]
    put(tmp_path / "owl/1.h5")
    assert error_of(read_class_folders, "pets", tmp_path) == (
        f"{tmp_path}/owl: holds no image, only files such as 1.h5. "
        "Remove the folder, or convert its files to images"
    )


def test_test_images_without_classes_are_left_out_and_logged(tmp_path: Path) -> None:
    folder = tmp_path / "my pets"
    for name in ("train/cat/1.jpg", "train/dog/1.jpg", "test/1.jpg", "test/2.jpg"):
        put(folder / name)
    data_set = read_class_folders("pets", folder)
    assert [image.source for image in data_set.images] == ["train/cat/1.jpg", "train/dog/1.jpg"]
    note = (
        f"{folder}/test: 2 images without classes are left out; "
        f"predict with: fashionai predict --questions '{folder}/test' --out FILE"
    )
    assert note in data_set.notes


def test_blanks_and_accents_of_class_folders_make_no_difference(tmp_path: Path) -> None:
    put(tmp_path / "cat /1.jpg")
    put(tmp_path / "e\u0301te\u0301/1.jpg")
    data_set = read_class_folders("pets", tmp_path, ["\u00e9t\u00e9", "cat"])
    assert data_set.task.classes == ("\u00e9t\u00e9", "cat")
    assert [image.label for image in data_set.images] == ["cat", "\u00e9t\u00e9"]
    put(tmp_path / "cat/2.jpg")
    assert error_of(read_class_folders, "pets", tmp_path) == (
        f"{tmp_path}: folders 'cat' and 'cat ' are both class 'cat'"
    )


def test_class_folders_of_numbers_are_in_numeric_order(tmp_path: Path) -> None:
    for name in range(11):
        put(tmp_path / f"{name}/1.jpg")
    assert read_class_folders("digits", tmp_path).task.classes == tuple(map(str, range(11)))


def test_a_header_of_a_list_is_one_even_if_an_image_has_its_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "fashionai")
    for name in ("image.jpg", "a.jpg", "b.jpg"):
        put(tmp_path / name)
    questions = put(tmp_path / "t.csv", "image\na.jpg\nb.jpg\n")
    assert [row.image for row in read_images_to_predict(questions, tmp_path)] == ["a.jpg", "b.jpg"]
    assert messages(caplog) == [f"{questions}: the first row is the header: 'image'"]
    put(questions, "image,note\na.jpg,x\nb.jpg,\n,\n")
    assert [row.image for row in read_images_to_predict(questions, tmp_path)] == ["a.jpg", "b.jpg"]


def test_numbers_in_a_list_are_images_where_these_exist(tmp_path: Path) -> None:
    for name in ("0.jpg", "1.jpg"):
        put(tmp_path / name)
    questions = put(tmp_path / "t.csv", "0,1\n1,0\n")
    assert [row.image for row in read_images_to_predict(questions, tmp_path)] == ["0", "1"]
    put(questions, "0,1\n0,x\n1,x\n")
    assert [row.image for row in read_images_to_predict(questions, tmp_path)] == ["0", "1"]


def test_the_first_id_of_a_list_is_not_taken_for_a_header(tmp_path: Path) -> None:
    for name in ("0002.jpg", "0003.jpg"):
        put(tmp_path / name)
    questions = put(tmp_path / "t.csv", "x,0001\nx,0002\nx,0003\n")
    assert error_of(read_images_to_predict, questions, tmp_path, "2").startswith(
        f"{questions}:1: image {tmp_path}/0001 does not exist"
    )


def test_a_list_may_hold_absolute_paths_and_other_encodings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "fashionai")
    put(tmp_path / "data/短裙.jpg")
    put(tmp_path / "data/长裙.jpg")
    text = f"{tmp_path}/data/短裙.jpg\n{tmp_path}/data/长裙\n"
    questions = tmp_path / "t.txt"
    questions.write_bytes(text.encode("gbk"))
    rows = read_images_to_predict(questions, tmp_path / "data")
    assert [Path(row.path).name for row in rows] == ["短裙.jpg", "长裙.jpg"]
    assert messages(caplog)[0] == f"{questions}: read as GB18030, not UTF-8"


def write_skirts(folder: Path, *rows: str, place: str = "base/Annotations/label.csv") -> Path:
    for number in range(1, 4):
        put(folder / f"base/Images/skirt_length_labels/{number}.jpg")
        put(folder / f"base/{number}.tif")
    return put(folder / place, "".join(f"{row}\n" for row in rows))


def test_backslashes_in_the_competitions_files_are_slashes(tmp_path: Path) -> None:
    rows = [f"Images\\skirt_length_labels\\{number}.jpg,skirt_length_labels" for number in (1, 2)]
    write_skirts(tmp_path, *(f"{row},ynnnnn" for row in rows))
    images = read_training_images(tmp_path, SKIRT)
    assert [image.source for image in images] == [
        f"base/Images/skirt_length_labels/{number}.jpg" for number in (1, 2)
    ]
    questions = write_skirts(tmp_path, *rows, place="base/Tests/question.csv")
    for read in (read_question_file, read_images_to_predict):
        found = read(questions, tmp_path)
        assert [row.image for row in found] == [
            f"Images/skirt_length_labels/{number}.jpg" for number in (1, 2)
        ]
        assert all(Path(row.path).is_file() for row in found)


def test_a_header_and_an_encoding_of_the_competitions_files_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "fashionai")
    text = "image,task,label\nImages/skirt_length_labels/1.jpg,skirt_length_labels,ynnnnn\n"
    labels = write_skirts(tmp_path)
    labels.write_bytes(text.encode("utf-16"))
    expected = [
        f"{labels}: read as UTF-16, not UTF-8",
        f"{labels}: the first row is the header: 'image', 'task', 'label'",
    ]
    assert read_attribute_data_set(tmp_path, SKIRT).guesses == expected
    assert len(list(read_label_rows(labels))) == 1
    assert messages(caplog) == expected


def test_the_competitions_first_row_is_no_header_when_it_names_a_task(tmp_path: Path) -> None:
    for first in ("1.tif,skirt_length_labels,ynnnnn", "x,skirt_length_labels,", "x,skrt,ynnnnn"):
        write_skirts(tmp_path, first, "2.tif,skirt_length_labels,nynnnn")
        if first.startswith("1"):
            assert len(read_training_images(tmp_path, SKIRT)) == 2
        else:
            assert "label.csv:1: " in error_of(read_training_images, tmp_path, SKIRT)


def test_an_empty_label_file_beside_another_set_is_refused(tmp_path: Path) -> None:
    row = "Images/skirt_length_labels/1.jpg,skirt_length_labels,ynnnnn"
    write_skirts(tmp_path, row)
    for number, content in enumerate(("", "\n,,\n")):
        web = put(tmp_path / "web/Annotations/skirt_length_labels.csv", content)
        assert error_of(read_training_images, tmp_path, SKIRT).startswith(f"{web}: no rows"), number


def test_label_files_that_are_not_found_are_told_and_broken_ones_refused(tmp_path: Path) -> None:
    row = "Images/skirt_length_labels/1.jpg,skirt_length_labels,ynnnnn"
    labels = write_skirts(tmp_path, row)
    assert read_attribute_data_set(tmp_path, SKIRT).notes == [
        f"labels read from {labels}; not found: "
        "web/Annotations/skirt_length_labels.csv, train/Annotations/label.csv"
    ]
    put(tmp_path / "base/Images/pant_length_labels/1.jpg")
    pant = "Images/pant_length_labels/1.jpg,pant_length_labels,ynnnnn"
    write_skirts(tmp_path, row, pant)
    assert read_attribute_data_set(tmp_path, find_task("pant")).notes == [
        f"labels read from {labels}; not found: train/Annotations/label.csv"
    ]
    for name in ("web/Annotations/skirt_length_labels.csv", "train/Annotations/label.csv"):
        write_skirts(tmp_path, row, place=name)
        put(tmp_path / name.split("/")[0] / "Images/skirt_length_labels/1.jpg")
    assert read_attribute_data_set(tmp_path, SKIRT).notes == []
    labels.unlink()
    labels.symlink_to("gone.csv")
    assert error_of(read_training_images, tmp_path, SKIRT) == f"{labels}: no such file"
    labels.unlink()
    labels.mkdir()
    assert error_of(read_training_images, tmp_path, SKIRT).startswith(f"{labels}: cannot be read")


def test_names_of_the_greatest_length_are_prepared(tmp_path: Path) -> None:
    longest = "x" * 246 + ".jpg"
    for name in ("cat", "裙" * 85):
        put(tmp_path / "own" / name / longest, JPEG)
    data_set = read_class_folders("pets", tmp_path / "own")
    task = Task("pets", (), ("y" * 260, "裙" * 100), "table")
    planned = plan_folders(data_set.images, ["train", "val"])
    write_folders(tmp_path / "out", task, planned, "copy")
    assert len(read_split(tmp_path / "out", "train", "val").paths) == 2


def test_blanks_around_a_file_name_survive_no_table(tmp_path: Path) -> None:
    """Readers of CSV files strip them, so the prepared file has none."""
    for name in ("cat/ 1.jpg", "dog/ 1.jpg"):
        put(tmp_path / name, JPEG)
    data_set = read_class_folders("pets", tmp_path)
    planned = plan_folders(data_set.images, ["train", "train"])
    assert [item.file for item in planned] == ["1.jpg", "1-2.jpg"]


@pytest.mark.parametrize("litter", [".DS_Store", "Thumbs.db", "._1.jpg"])
def test_what_systems_leave_in_an_old_class_folder_does_no_harm(
    tmp_path: Path, litter: str
) -> None:
    out = tmp_path / "out"
    for classes in (("cat", "dog"), ("dog", "owl"), ("dog", "owl"), ("cat", "owl")):
        folder = tmp_path / "-".join(classes)
        for name in classes:
            put(folder / name / f"{name}.jpg", JPEG)
        data_set = read_class_folders("pets", folder)
        planned = plan_folders(data_set.images, ["train", "train"])
        write_folders(out, data_set.task, planned, "copy")
        assert len(read_split(out, "train").paths) == 2
        for place in (out / "train").iterdir():
            put(place / litter)
    assert sorted(path.name for path in (out / "train").iterdir()) == ["0_cat", "1_owl"]


def test_a_foreign_hidden_file_in_an_old_class_folder_does_not_stop_prepare(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    for classes in (("cat", "dog"), ("dog", "owl"), ("ant", "owl"), ("cat", "owl")):
        folder = tmp_path / "-".join(classes)
        for name in classes:
            put(folder / name / f"{name}.jpg", JPEG)
        data_set = read_class_folders("pets", folder)
        write_folders(out, data_set.task, plan_folders(data_set.images, ["train"] * 2), "copy")
        put(out / "train" / data_set.task.folder_names[0] / ".note", b"mine")
        assert len(read_split(out, "train").paths) == 2


def test_images_of_one_name_in_two_classes_keep_their_paths(tmp_path: Path) -> None:
    for name in ("cat/1.jpg", "dog/1.jpg"):
        put(tmp_path / "own" / name, JPEG)
    data_set = read_class_folders("pets", tmp_path / "own")
    planned = plan_folders(data_set.images, ["val", "val"])
    write_folders(tmp_path / "out", data_set.task, planned, "copy")
    assert read_split(tmp_path / "out", "val").sources == ["cat/1.jpg", "dog/1.jpg"]
    with open(tmp_path / "out" / MANIFEST, newline="") as file:
        assert [row["file"] for row in csv.DictReader(file)] == ["1.jpg", "1-2.jpg"]


def idx(*shape: int, values: bytes = b"") -> bytes:
    return bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + values


def test_an_idx_file_is_not_kept_beyond_its_header(tmp_path: Path) -> None:
    """256 MB of zeros behind a header of 8 bytes take less than 16 MB."""
    path = put(tmp_path / "f.gz")
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(idx(8))
        for _ in range(256):
            file.write(bytes(2**20))
    import tracemalloc

    tracemalloc.start()
    message = error_of(read_idx, path, 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert message == f"{path}: holds 268,435,456 values, its header says 8"
    assert peak < 16 * 2**20


@pytest.mark.parametrize("shape", [(2, 0, 28), (2, 28, 0), (0, 0, 0)])
def test_idx_images_of_size_0_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = put(tmp_path / "f", idx(*shape))
    sizes = "x".join(map(str, shape))
    assert error_of(read_idx, path, 3) == (
        f"{path}: its header says {sizes}, expected images of 1x1 pixels or more"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ["cat", {"name": "dog"}]},
        {"classes": "cat"},
        {"classes": ["cat", None]},
        {"classes": {"cat": 0, "dog": 1}},
        {"classes": ["cat", "cat"]},
        {"classes": []},
        {"task": 7},
        {"family": ["table"]},
        {"aliases": [["a"]]},
        {"background": {}},
    ],
)
def test_a_task_of_other_types_is_one_line(tmp_path: Path, change: dict[str, object]) -> None:
    import json

    value = task_to_json(Task("pets", ("p",), ("cat", "dog"), "table"))
    path = put(tmp_path / "task.json", json.dumps(value))
    assert task_from_json(path).classes == ("cat", "dog")
    put(path, json.dumps({**value, **change}))
    with pytest.raises(DataError, match=r"task\.json: does not describe a task"):
        task_from_json(path)
    put(path, "[" * 100_000)
    with pytest.raises(DataError, match=r"task\.json: does not describe a task"):
        task_from_json(path)


def test_the_picture_of_these_tests_is_an_image() -> None:
    assert cv2.imdecode(np.frombuffer(JPEG, np.uint8), cv2.IMREAD_COLOR) is not None
