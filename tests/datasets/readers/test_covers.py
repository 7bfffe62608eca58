"""Folders of covers with and without cats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fashionai.datasets.prepared.check import check_images
from fashionai.datasets.readers.covers import read_covers
from fashionai.errors import DataError
from fashionai.families import COVERS
from tests.support.data_trees import put, write_covers
from tests.support.images import encode


def error_of(data: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_covers(data)
    return str(caught.value)


@pytest.mark.parametrize("below", ["samples", ""])
def test_positive_is_cat_whatever_the_format(tmp_path: Path, below: str) -> None:
    write_covers(tmp_path, per_class=4, below=below)
    data_set = read_covers(tmp_path)
    assert data_set.task == COVERS
    names = ["0.jpg", "1.png", "2.webp", "3.bmp"]
    assert [
        (image.source, data_set.task.classes[image.class_index]) for image in data_set.images
    ] == [
        (f"{below}/{folder}/{name}".lstrip("/"), truth)
        for folder, truth in (("negative", "not cat"), ("positive", "cat"))
        for name in names
    ]
    for image in data_set.images:
        assert image.path == tmp_path / image.source
        assert image.where == str(image.path)
        assert image.label in ("negative", "positive")
        assert image.split is None
    assert [checked.damage for checked in check_images(data_set.images)] == [""] * 8
    assert data_set.notes == []


def test_images_without_a_suffix_count_and_other_files_are_logged(tmp_path: Path) -> None:
    write_covers(tmp_path, per_class=1)
    rng = np.random.default_rng(0)
    put(tmp_path / "samples/positive/cover.jpg?size=l", encode(1, rng, ".png"))
    put(tmp_path / "samples/positive/1f3a", encode(1, rng, ".jpg"))
    put(tmp_path / "samples/positive/.hidden", encode(1, rng, ".jpg"))
    put(tmp_path / "samples/negative/urls.txt", "https://example.org/1.jpg")
    put(tmp_path / "samples/negative/empty")
    data_set = read_covers(tmp_path)
    assert [image.source.split("/", 1)[1] for image in data_set.images] == [
        "negative/0.jpg",
        "positive/0.jpg",
        "positive/1f3a",
        "positive/cover.jpg?size=l",
    ]
    assert data_set.notes == [
        "2 files skipped because they are not images: "
        "samples/negative/empty, samples/negative/urls.txt"
    ]


def test_a_damaged_image_is_kept_for_checking_to_report(tmp_path: Path) -> None:
    write_covers(tmp_path, per_class=1)
    put(tmp_path / "samples/positive/9.jpg", b"no image")
    put(tmp_path / "samples/positive/9.gif", b"GIF89a")
    data_set = read_covers(tmp_path)
    damage = [checked.damage for checked in check_images(data_set.images)]
    assert damage == [
        "",
        "",
        'GIF is not read; convert it: magick "FILE[0]" OUT.png',
        "not an image",
    ]


def test_missing_and_empty_folders_are_refused(tmp_path: Path) -> None:
    assert error_of(tmp_path) == (
        f"{tmp_path}/negative: no such folder, expected the images of 'negative'. "
        "Give the folder of the files with --data"
    )
    put(tmp_path / "samples/negative/1.jpg")
    assert error_of(tmp_path) == (
        f"{tmp_path}/samples/positive: no such folder, expected the images of 'positive'. "
        "Give the folder of the files with --data"
    )
    put(tmp_path / "samples/positive/1.txt")
    assert error_of(tmp_path) == f"{tmp_path}/samples/positive: no images"
    put(tmp_path / "samples/positive/more/1.jpg")
    assert error_of(tmp_path) == (
        f"{tmp_path}/samples/positive/more: is a folder below a class folder, expected images. "
        "Move its images into the class folder, or the folder elsewhere"
    )
