"""Kaggle's cacti: a CSV of ids, and images in folders or archives."""

from __future__ import annotations

import re
import struct
import warnings
import zipfile
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from fashionai.datasets.prepared.split import split_records
from fashionai.datasets.readers.cactus import LARGEST_MEMBER, read_cactus, read_sample_submission
from fashionai.families import CACTUS
from tests.support.data_trees import put, write_cactus
from tests.support.errors import error_of

FOLDERS = ["{part}", "{part}/{part}"]
ARCHIVES = ["{part}.zip", "{part}.zip/{part}", "{part}.zip/{part}/{part}"]


read_submission = partial(read_sample_submission, data=Path())


def rows_of(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text().splitlines()[1:]]


@pytest.mark.parametrize("place", [*FOLDERS, *ARCHIVES])
def test_images_and_labels_are_those_of_the_rows(tmp_path: Path, place: str) -> None:
    same = write_cactus(tmp_path / "plain")
    write_cactus(tmp_path / "data", place=place)
    task, images, notes, *_ = read_cactus(tmp_path / "data")
    assert task == CACTUS
    assert notes == []
    rows = rows_of(same / "train.csv")
    assert [(image.file_name, image.label) for image in images] == [tuple(row) for row in rows]
    for line, (image, (name, value)) in enumerate(zip(images, rows), start=2):
        assert image.class_index == int(value)
        assert task.classes[image.class_index] == ("cactus" if value == "1" else "no cactus")
        assert image.read() == (same / "train" / name).read_bytes()
        assert image.source == f"{place.format(part='train')}/{name}"
        assert image.where == f"{tmp_path}/data/train.csv:{line}"
        assert (image.path is None) == (".zip" in place) == (image.content is not None)
        assert image.split is None


def test_a_hundredth_of_the_real_rows_has_both_classes(tmp_path: Path) -> None:
    """17,500 rows, three quarters of them cacti: 175 for validation."""
    classes = [int(row % 4 > 0) for row in range(17_500)]
    fraction = read_cactus(write_cactus(tmp_path)).val_fraction
    names = split_records(classes, [str(row) for row in range(17_500)], fraction, seed=0).names
    chosen = Counter(index for index, name in zip(classes, names) if name == "val")
    assert chosen == {0: 44, 1: 131}


@pytest.mark.parametrize("place", [*FOLDERS, *ARCHIVES])
@pytest.mark.parametrize("by_file", [False, True])
def test_questions_come_in_order_with_their_bytes(tmp_path, place: str, by_file: bool) -> None:
    same = write_cactus(tmp_path / "plain")
    data = write_cactus(tmp_path / "data", place=place)
    lines = (data / "sample_submission.csv").read_text().splitlines()
    put(data / "sample_submission.csv", "\n".join([lines[0], *reversed(lines[1:])]))
    questions = read_sample_submission(data / "sample_submission.csv" if by_file else data, data)
    assert [asked.image for asked in questions] == [
        line.split(",")[0] for line in reversed(lines[1:])
    ]
    for question in questions:
        assert question.path.read_bytes() == (same / "test" / question.image).read_bytes()
        assert question.task is None


def test_folders_come_before_archives(tmp_path: Path) -> None:
    write_cactus(tmp_path, place="{part}.zip")
    write_cactus(tmp_path, place="{part}/{part}", seed=1)
    for image in read_cactus(tmp_path).images:
        assert image.source.startswith("train/train/")


def test_what_else_an_archive_holds_is_no_matter(tmp_path: Path) -> None:
    write_cactus(tmp_path, place="{part}.zip/{part}")
    expected = read_cactus(tmp_path).images
    with zipfile.ZipFile(tmp_path / "train.zip", "a") as archive:
        archive.writestr("train/", b"")
        archive.writestr("readme.txt", b"x")
        for image in expected:
            archive.writestr(f"__MACOSX/train/{image.file_name}", b"resource fork")
    assert read_cactus(tmp_path).images == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", ": no rows, expected id,has_cactus"),
        ("id,has_cactus\n", ": no rows, expected id,has_cactus"),
        ("id,label\n", ":1: header is 'id,label', expected id,has_cactus"),
        ("{id},1\n", ":1: header is '{id},1', expected id,has_cactus"),
        ("id,has_cactus\n{id},2\n", ":2: has_cactus is '2', expected 0 or 1"),
        ("id,has_cactus\n{id},\n", ":2: has_cactus is '', expected 0 or 1"),
        ("id,has_cactus\n{id},0.5\n", ":2: has_cactus is '0.5', expected 0 or 1"),
        ("id,has_cactus\n{id}\n", ":2: found 1 field, expected id,has_cactus"),
        ("id,has_cactus\n{id},1,1\n", ":2: found 3 fields, expected id,has_cactus"),
        ("id,has_cactus\n,1\n", ":2: no image path, expected the name of an image"),
        (
            "id,has_cactus\n../train/{id},1\n",
            ":2: path '../train/{id}' leaves the data folder, expected the name of an image",
        ),
        ("id,has_cactus\n{id},1\n{id},0\n", ":3: {id} is listed twice, first at {csv}:2"),
        (
            "id,has_cactus\n{id},1\nx.jpg,0\ny.jpg,0\n",
            ":3: image {root}/train/x.jpg does not exist (and 1 more)",
        ),
        (
            "id,has_cactus\nx.jpg,1\n",
            ":2: image x.jpg not found in train/, train/train/ or train.zip of {root}",
        ),
    ],
)
def test_rows_that_cannot_be_used_are_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = write_cactus(tmp_path) / "train.csv"
    names = {"id": rows_of(path)[0][0], "csv": path, "root": tmp_path}
    put(path, text.format(**names))
    assert error_of(read_cactus, tmp_path) == f"{path}{problem.format(**names)}"


def test_missing_files_are_named(tmp_path: Path) -> None:
    tmp = tmp_path
    assert error_of(read_cactus, tmp) == (
        f"{tmp}/train.csv: no such file. Give the folder of the files with --data"
    )
    assert error_of(read_submission, tmp) == f"{tmp}/sample_submission.csv: no such file"


def archive_of(folder: Path, *members: tuple[str, bytes]) -> Path:
    put(folder / "train.csv", "id,has_cactus\na.jpg,1\nb.jpg,0\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about names given twice, which are meant here
        with zipfile.ZipFile(folder / "train.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members:
                archive.writestr(name, content)
    return folder / "train.zip"


GOOD = (("train/a.jpg", b"a" * 100), ("train/b.jpg", b"b" * 100))


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ((*GOOD, ("../x.jpg", b"")), "{zip}: path '../x.jpg' leaves the data folder, "
         "expected members below train/"),
        ((*GOOD, ("/etc/x", b"")), "{zip}: path '/etc/x' leaves the data folder, "
         "expected members below train/"),
        ((*GOOD, GOOD[0]), "{zip}: holds a.jpg twice: train/a.jpg and train/a.jpg"),
        ((*GOOD, ("a.jpg", b"")), "{zip}: holds a.jpg twice: train/a.jpg and a.jpg"),
        ((GOOD[0],), "{csv}:3: image b.jpg not found in {zip}"),
        ((("x/a.jpg", b""),), "{csv}:2: image a.jpg not found in {zip} (and 1 more)"),
        ((GOOD[0], ("train/b.jpg", bytes(LARGEST_MEMBER + 1))),
         "{zip}: member train/b.jpg has 16,777,217 bytes, expected at most 16,777,216"),
    ],
)  # fmt: skip
def test_archives_that_are_not_safe_are_refused(tmp_path: Path, members, problem: str) -> None:
    path = archive_of(tmp_path, *members)
    assert error_of(read_cactus, tmp_path) == problem.format(zip=path, csv=tmp_path / "train.csv")


def test_many_images_that_would_fill_the_memory(tmp_path: Path) -> None:
    """Each is small enough, all of them together are not."""
    half = bytes(LARGEST_MEMBER // 2 + 1)
    path = archive_of(tmp_path, ("train/a.jpg", half), ("train/b.jpg", half))
    size = path.stat().st_size
    assert error_of(read_cactus, tmp_path) == (
        f"{path}: 2 images would unpack to 16,777,218 bytes, "
        f"expected at most 10 times the {size:,} bytes of the archive"
    )


def change(path: Path, offset_in_entry: int, value: int) -> None:
    """Write 16 bits into the central directory's first entry and its twin before the data."""
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    struct.pack_into("<H", data, entry + offset_in_entry, value)
    struct.pack_into("<H", data, offset_in_entry - 2, value)
    path.write_bytes(data)


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = archive_of(tmp_path, *GOOD)
    change(path, 8, 1)
    assert error_of(read_cactus, tmp_path) == f"{path}: member train/a.jpg is encrypted"


def test_another_compression_is_refused(tmp_path: Path) -> None:
    path = archive_of(tmp_path, *GOOD)
    change(path, 10, 98)
    assert error_of(read_cactus, tmp_path) == (
        f"{path}: member train/a.jpg is compressed by method 98, expected deflate"
    )


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_changed_byte_is_damage(tmp_path: Path, part: str) -> None:
    write_cactus(tmp_path, train=4, test=4, place="{part}.zip/{part}")
    path = tmp_path / f"{part}.zip"
    data = bytearray(path.read_bytes())
    data[300] ^= 255  # inside the first member's content
    path.write_bytes(data)
    read = read_cactus if part == "train" else read_submission
    name = re.escape(f"{part}/{part}{0:028d}.jpg")
    assert re.match(f"{re.escape(str(path))}: member {name} is damaged: ", error_of(read, tmp_path))


@pytest.mark.parametrize("keep", [0, 10, -30, -1])
def test_an_archive_that_ends_early_is_refused(tmp_path: Path, keep: int) -> None:
    path = archive_of(tmp_path, *GOOD)
    path.write_bytes(path.read_bytes()[:keep])
    assert error_of(read_cactus, tmp_path).startswith(f"{path}: cannot be read as an archive: ")


def test_an_archive_for_a_later_version_of_zip_is_refused(tmp_path: Path) -> None:
    path = archive_of(tmp_path, *GOOD)
    change(path, 6, 200)
    assert error_of(read_cactus, tmp_path) == (
        f"{path}: cannot be read as an archive: zip file version 20.0"
    )
