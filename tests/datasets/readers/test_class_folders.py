"""Trees of class folders, with split folders and without."""

from __future__ import annotations

from pathlib import Path

import pytest

from fashionai.datasets.prepared.folders import plan_folders, write_folders
from fashionai.datasets.readers.class_folders import read_class_folders
from fashionai.errors import ConfigError
from fashionai.tasks import Task
from tests.support.data_trees import put, write_class_folders
from tests.support.errors import error_of


def make(folder: Path, *files: str) -> Path:
    for file in files:
        put(folder / file)
    return folder


def summary(data_set) -> list[tuple[str, int, object]]:
    return [(image.source, image.class_index, image.split) for image in data_set.images]


def test_a_tree_of_classes_is_read_in_the_order_of_its_paths(tmp_path: Path) -> None:
    make(tmp_path, "owl/b.png", "cat/z.jpg", "cat/a.JPG", "Zebra/1.webp")
    data_set = read_class_folders("pets", tmp_path)
    assert data_set.task == Task("pets", (), ("Zebra", "cat", "owl"), "table")
    assert summary(data_set) == [
        ("Zebra/1.webp", 0, None),
        ("cat/a.JPG", 1, None),
        ("cat/z.jpg", 1, None),
        ("owl/b.png", 2, None),
    ]
    assert data_set.notes == []
    for image in data_set.images:
        assert image.path == tmp_path / image.source
        assert image.where == str(image.path)
        assert image.label == image.source.split("/")[0]


def test_the_given_order_of_classes_is_kept(tmp_path: Path) -> None:
    make(tmp_path, "large/1.jpg", "medium/1.jpg", "small/1.jpg")
    data_set = read_class_folders("sizes", tmp_path, ["small", "medium", "large"])
    assert data_set.task.classes == ("small", "medium", "large")
    assert [image.class_index for image in data_set.images] == [2, 1, 0]


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [("train", "val", "test"), ("Training", "valid", "TESTING"), ("train", "validation", "test")],
)
def test_split_folders_give_the_splits(tmp_path: Path, train: str, val: str, test: str) -> None:
    write_class_folders(tmp_path, {train: 3, val: 2, test: 1}, ("a", "b"))
    data_set = read_class_folders("two", tmp_path)
    expected = [
        (f"{folder}/{name}/{index:03d}.jpg", truth, split)
        for folder, split, count in ((train, "train", 3), (val, "val", 2), (test, "test", 1))
        for truth, name in enumerate("ab")
        for index in range(count)
    ]
    assert summary(data_set) == expected
    assert data_set.notes == []


def test_without_validation_images_train_has_no_split(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"train": 2, "test": 1}, ("a", "b"))
    (tmp_path / "val" / "a").mkdir(parents=True)
    data_set = read_class_folders("two", tmp_path)
    assert [image.split for image in data_set.images] == [None] * 4 + ["test"] * 2
    assert data_set.notes == [
        "no validation images are given: they are chosen from the training images"
    ]


def test_val_and_test_may_lack_classes_but_have_no_others(tmp_path: Path) -> None:
    make(tmp_path, "train/knee/1.jpg", "train/midi/1.jpg", "val/knee/1.jpg", "test/midi/1.jpg")
    assert [image.class_index for image in read_class_folders("t", tmp_path).images] == [0, 1, 0, 1]
    make(tmp_path, "test/mid/1.jpg")
    assert error_of(read_class_folders, "t", tmp_path) == (
        f"{tmp_path}/test/mid: no such class in {tmp_path}/train. Did you mean 'midi'?"
    )


def test_hidden_files_are_skipped_and_other_files_logged(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "a/.DS_Store", "a/.x.jpg", "b/2.jpg", "b/Thumbs.db", ".git/config")
    data_set = read_class_folders("t", tmp_path)
    assert [image.source for image in data_set.images] == ["a/1.jpg", "b/2.jpg"]
    assert data_set.notes == ["1 file skipped because it is not an image: b/Thumbs.db"]
    make(tmp_path, "a/jpg", "a/1.txt", "readme.md")
    assert read_class_folders("t", tmp_path).notes == [
        "4 files skipped because they are not images: readme.md, a/1.txt, a/jpg, ..."
    ]


def test_other_files_beside_split_folders_are_logged_too(tmp_path: Path) -> None:
    make(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "val/x.csv", "manifest.csv")
    assert read_class_folders("t", tmp_path).notes == [
        "2 files skipped because they are not images: manifest.csv, val/x.csv"
    ]


def test_a_prepared_tree_is_read_back_class_by_class(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "raw", {"train": 2, "val": 1, "test": 1})
    data_set = read_class_folders("pets", tmp_path / "raw")
    planned = plan_folders(data_set.images, [image.split or "" for image in data_set.images])
    write_folders(tmp_path / "out", data_set.task, planned, "copy")
    again = read_class_folders("pets", tmp_path / "out")
    assert again.task.classes == ("0_cat", "1_dog", "2_owl")
    assert sorted((image.class_index, image.split, image.read()) for image in again.images) == (
        sorted((image.class_index, image.split, image.read()) for image in data_set.images)
    )
    assert again.notes == ["2 files skipped because they are not images: manifest.csv, task.json"]


def test_an_empty_class_is_a_class(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "b/1.jpg", "d/1.jpg")
    (tmp_path / "c").mkdir()
    data_set = read_class_folders("t", tmp_path)
    assert data_set.task.classes == ("a", "b", "c", "d")
    data_set = read_class_folders("t", tmp_path, ["a", "b", "c", "d", "e"])
    assert data_set.task.classes == ("a", "b", "c", "d", "e")
    assert data_set.notes == []


def test_classes_that_differ_in_capitals_alone_are_logged(tmp_path: Path) -> None:
    make(tmp_path, "cat/1.jpg", "Cat/1.jpg")
    assert read_class_folders("t", tmp_path).notes == [
        "classes 'Cat' and 'cat' differ only in letter case"
    ]


def test_a_class_has_a_name(tmp_path: Path) -> None:
    make(tmp_path, "cat/1.jpg", "  /1.jpg")
    assert error_of(read_class_folders, "t", tmp_path) == (
        f"{tmp_path}: found a class with only blanks for a name, expected a name"
    )


def test_train_may_be_a_class(tmp_path: Path) -> None:
    make(tmp_path, "bus/1.jpg", "car/1.jpg", "train/1.jpg")
    assert read_class_folders("t", tmp_path).task.classes == ("bus", "car", "train")


def test_an_image_whose_link_is_broken_is_kept_for_checking_to_report(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "b/1.jpg")
    (tmp_path / "b/2.jpg").symlink_to(tmp_path / "gone.jpg")
    sources = [image.source for image in read_class_folders("t", tmp_path).images]
    assert sources == ["a/1.jpg", "b/1.jpg", "b/2.jpg"]


NESTED = (
    ": is a folder below a class folder, expected images. "
    "Move its images into the class folder, or the folder elsewhere"
)
OUTSIDE = ": is an image outside a class folder, expected <class>/<image>"
FLAT = ": holds no class folders, expected"
ONE_CLASS = ": found class 'a', expected at least two classes"


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (["train/1.jpg", "test/2.jpg"], f"/test{FLAT} test/<class>/<image>"),
        (["train/a/1.jpg", "val/a/1.jpg"], f"/train{ONE_CLASS}"),
        (["a/1.jpg"], ONE_CLASS),
        (["x.txt"], ": holds no folders, expected <class>/<image>"),
        (["a/1.jpg", "b/x/1.jpg"], f"/b/x{NESTED}"),
        (["train/a/1.jpg", "train/b/c/1.jpg"], f"/train/b/c{NESTED}"),
        (["a/1.jpg", "b/1.jpg", "1.jpg"], f"/1.jpg{OUTSIDE}"),
        (["train/a/1.jpg", "train/b/1.jpg", "1.jpg"], f"/1.jpg{OUTSIDE}"),
        (["train/a/1.jpg", "train/b/1.jpg", "val/1.jpg"], f"/val/1.jpg{OUTSIDE}"),
        (
            ["train/a/1.jpg", "train/b/1.jpg", "extra/a/1.jpg"],
            "/extra: found beside the split folder train, expected train, val or test",
        ),
        (
            ["train/a/1.jpg", "val/b/1.jpg", "valid/b/1.jpg"],
            "/valid: is a second folder of the split val, beside {root}/val",
        ),
        (["val/a/1.jpg", "test/b/1.jpg"], ": expected a folder train, found test, val"),
        (["a/1.txt", "b/1.txt"], ": no images to train on"),
        (["train/a/1.txt", "train/b/x", "test/a/1.jpg"], ": no images to train on"),
    ],
)
def test_other_trees_are_refused(tmp_path: Path, files: list[str], problem: str) -> None:
    make(tmp_path, *files)
    expected = f"{tmp_path}{problem.format(root=tmp_path)}"
    assert error_of(read_class_folders, "t", tmp_path) == expected


def test_no_folder_is_refused(tmp_path: Path) -> None:
    assert error_of(read_class_folders, "t", tmp_path / "x") == (
        f"{tmp_path}/x: cannot be read: No such file or directory"
    )


def test_classes_that_were_not_given_are_refused(tmp_path: Path) -> None:
    make(tmp_path, "knee/1.jpg", "midi/1.jpg")
    assert error_of(read_class_folders, "t", tmp_path, ["knees", "midi"]) == (
        f"{tmp_path}/knee: not one of the given classes. "
        "If 'knees' among them is a typing error, write 'knee'"
    )
    assert error_of(read_class_folders, "t", tmp_path, ["a", "b", "a"], kind=ConfigError) == (
        "classes: 'a' is given twice"
    )
