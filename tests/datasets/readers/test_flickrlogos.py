"""The lists of FlickrLogos-32 v2."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from fashionai.datasets.readers.flickrlogos import read_logos
from fashionai.errors import ConfigError, DataError
from fashionai.families import LOGOS
from tests.support.data_trees import put, write_logos

BRANDS = ("adidas", "guiness", "HP")
COUNTS = {"trainset": 2, "valset-logosonly": 3, "testset": 1}
NO_LOGO_COUNTS = {"valset-nologos": 5, "testset": 4}
ALL_BRANDS = [name for name in LOGOS.classes if name != "no-logo"]


def write(folder: Path) -> Path:
    return write_logos(folder, COUNTS, NO_LOGO_COUNTS, BRANDS, empty=True)


def error_of(data: Path, share: float = 0.5, kind: type[Exception] = DataError) -> str:
    with pytest.raises(kind) as caught:
        read_logos(data, no_logo_share=share)
    return str(caught.value)


def rows_of(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_the_whole_data_set_splits_as_published(tmp_path: Path) -> None:
    per_brand = {"trainset": 10, "valset-logosonly": 30, "testset": 30}
    no_logo = {"valset-nologos": 3000, "testset": 3000}
    write_logos(tmp_path, per_brand, no_logo, ALL_BRANDS, empty=True)
    data_set = read_logos(tmp_path)
    assert data_set.task == LOGOS
    assert data_set.notes == []
    splits = Counter(image.split for image in data_set.images)
    assert splits == {"train": 1820, "val": 2460, "test": 3960}
    counts = Counter((image.split, LOGOS.classes[image.class_index]) for image in data_set.images)
    for brand in ALL_BRANDS:
        assert [counts[split, brand] for split in ("train", "val", "test")] == [10, 30, 30]
    assert [counts[split, "no-logo"] for split in ("train", "val", "test")] == [1500, 1500, 3000]
    assert len({image.source for image in data_set.images}) == 8240


@pytest.mark.parametrize("below", ["", "FlickrLogos-v2"])
@pytest.mark.parametrize(("share", "moved"), [(0.5, 2), (0.2, 1), (0.99, 5), (0, 0)])
def test_the_first_images_without_logo_move_to_training(
    tmp_path: Path, below: str, share: float, moved: int
) -> None:
    root = write(tmp_path / below)
    data_set = read_logos(tmp_path, no_logo_share=share)
    in_order = [row.rsplit("/")[-1] for row in rows_of(root / "valset-nologos.relpaths.txt")]
    no_logo = [image for image in data_set.images if "/no-logo/" in image.source]
    by_split = {
        split: [image.file_name for image in no_logo if image.split == split]
        for split in ("train", "val", "test")
    }
    assert by_split["train"] == in_order[:moved]
    assert by_split["val"] == in_order[moved:]
    assert len(by_split["test"]) == 4
    for image in data_set.images:
        assert image.path == tmp_path / image.source
        assert image.path.is_file()


def test_without_a_share_no_logo_is_the_background(tmp_path: Path) -> None:
    write(tmp_path)
    task, images = read_logos(tmp_path, no_logo_share=0)[:2]
    assert (task.name, task.family, task.background) == ("logos", "flickrlogos", "no-logo")
    assert task.classes == tuple(ALL_BRANDS)
    for image in images:
        brand = image.source.split("/")[2]
        if brand == "no-logo":
            assert image.class_index == len(task.classes) == 32
            assert image.split in ("val", "test")
        else:
            assert task.classes[image.class_index] == brand
    assert Counter(image.split for image in images) == {"train": 6, "val": 14, "test": 7}


@pytest.mark.parametrize("folder", ["HP", "hp", "Hp"])
@pytest.mark.parametrize("listed", ["HP", "hp"])
def test_brands_are_found_whatever_their_case(tmp_path: Path, folder: str, listed: str) -> None:
    root = write(tmp_path)
    (root / "classes/jpg/HP").rename(root / "classes/jpg/tmp")
    (root / "classes/jpg/tmp").rename(root / f"classes/jpg/{folder}")
    for path in root.glob("*.txt"):
        path.write_text(path.read_text().replace("/hp/", f"/{listed}/"))
    images = [i for i in read_logos(tmp_path).images if i.label == listed]
    assert len(images) == 6
    for image in images:
        assert LOGOS.classes[image.class_index] == "HP"
        assert image.source.startswith(f"classes/jpg/{folder}/")
        assert image.path.is_file()


def test_backslashes_and_trailing_spaces_are_no_matter(tmp_path: Path) -> None:
    root = write(tmp_path)
    expected = read_logos(tmp_path).images
    for path in root.glob("*.txt"):
        lines = [row.replace("/", "\\") + " \t" for row in rows_of(path)]
        path.write_bytes("\r\n".join([*lines, "", ""]).encode("utf-8-sig"))
    assert read_logos(tmp_path).images == expected


def test_lists_of_other_lengths_are_logged(tmp_path: Path) -> None:
    write(tmp_path)
    assert read_logos(tmp_path).notes == [
        "trainset.relpaths.txt has 6 rows; the complete data set has 320",
        "valset-logosonly.relpaths.txt has 9 rows; the complete data set has 960",
        "valset-nologos.relpaths.txt has 5 rows; the complete data set has 3,000",
        "testset.relpaths.txt has 7 rows; the complete data set has 3,960",
    ]


@pytest.mark.parametrize("share", [-0.1, 1, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(tmp_path: Path, share: float) -> None:
    assert error_of(tmp_path, share, ConfigError) == (
        f"no_logo_share: found {share}, expected 0 or more and below 1"
    )


def test_a_share_of_no_image_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    assert error_of(tmp_path, 0.05, ConfigError) == (
        "no_logo_share: 0.05 of 5 images is less than one image. "
        "Give a larger share, or 0 to train on the brands only"
    )


@pytest.mark.parametrize(
    "name", ["trainset", "valset-logosonly", "valset-nologos", "testset"]
)  # fmt: skip
def test_a_missing_or_empty_list_is_named(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "FlickrLogos-v2") / f"{name}.relpaths.txt"
    path.write_text("\n \n")
    assert error_of(tmp_path) == f"{path}: no rows, expected classes/jpg/<brand>/<file>.jpg"
    path.unlink()
    assert error_of(tmp_path) == (
        f"{path}: no such list. FlickrLogos-32 v2 has it beside the folder 'classes'; "
        "give that folder with --data"
    )


def test_without_any_list_the_first_is_named(tmp_path: Path) -> None:
    assert error_of(tmp_path) == (
        f"{tmp_path}/trainset.relpaths.txt: no such list. "
        "FlickrLogos-32 v2 has it beside the folder 'classes'; "
        "give that folder with --data"
    )


ROW = "classes/jpg/<brand>/<file>.jpg"


@pytest.mark.parametrize(
    ("name", "row", "problem"),
    [
        ("trainset", "adidas,1.jpg", f"found 'adidas,1.jpg', expected {ROW}"),
        ("trainset", "classes/jpg/1.jpg", f"found 'classes/jpg/1.jpg', expected {ROW}"),
        ("trainset", "jpg/adidas/1.jpg", f"found 'jpg/adidas/1.jpg', expected {ROW}"),
        ("testset", "classes/masks/hp/1.png", f"found 'classes/masks/hp/1.png', expected {ROW}"),
        ("testset", "classes/jpg/hp/a/1.jpg", f"found 'classes/jpg/hp/a/1.jpg', expected {ROW}"),
        ("testset", "classes/jpg/hp/1.txt", f"found 'classes/jpg/hp/1.txt', expected {ROW}"),
        (
            "testset",
            "classes/jpg/../hp/1.jpg",
            f"path 'classes/jpg/../hp/1.jpg' leaves the data folder, expected {ROW}",
        ),
        (
            "testset",
            "/classes/jpg/hp/1.jpg",
            f"path '/classes/jpg/hp/1.jpg' leaves the data folder, expected {ROW}",
        ),
        (
            "testset",
            "classes/jpg/guinness/1.jpg",
            "unknown brand 'guinness'. Did you mean 'guiness'?",
        ),
        ("trainset", "classes/jpg/no-logo/1.jpg", "found 'no-logo', expected a brand"),
        ("valset-logosonly", "classes/jpg/No-Logo/1.jpg", "found 'No-Logo', expected a brand"),
        ("valset-nologos", "classes/jpg/adidas/1.jpg", "found 'adidas', expected no-logo"),
        (
            "testset",
            "classes/jpg/adidas/9999.jpg",
            "image {root}/classes/jpg/adidas/9999.jpg does not exist",
        ),
        (
            "testset",
            "classes/jpg/ups/1.jpg",
            "image {root}/classes/jpg/ups/1.jpg does not exist",
        ),
    ],
)
def test_rows_that_cannot_be_used_are_refused(tmp_path, name: str, row: str, problem: str) -> None:
    path = write(tmp_path) / f"{name}.relpaths.txt"
    line = len(rows_of(path)) + 1
    with open(path, "a") as handle:
        handle.write(f"{row}\n")
    assert error_of(tmp_path) == f"{path}:{line}: {problem.format(root=tmp_path)}"


def test_missing_images_are_counted(tmp_path: Path) -> None:
    root = write(tmp_path)
    for path in (root / "classes/jpg/adidas").iterdir():
        path.unlink()
    first = rows_of(root / "trainset.relpaths.txt")[0]
    assert error_of(tmp_path) == (
        f"{root}/trainset.relpaths.txt:1: image {root}/{first} does not exist (and 5 more)"
    )


@pytest.mark.parametrize("name", ["trainset", "valset-logosonly", "testset"])
def test_an_image_in_two_places_is_refused(tmp_path: Path, name: str) -> None:
    root = write(tmp_path)
    first, path = rows_of(root / "trainset.relpaths.txt")[0], root / f"{name}.relpaths.txt"
    line = len(rows_of(path)) + 1
    put(path, path.read_text() + first)
    assert error_of(tmp_path) == (
        f"{path}:{line}: {first} is listed twice, first at {root}/trainset.relpaths.txt:1"
    )


def test_a_tree_without_images_is_refused(tmp_path: Path) -> None:
    root = write(tmp_path)
    (root / "classes").rename(root / "elsewhere")
    assert error_of(tmp_path) == (f"{root}/classes/jpg: cannot be read: No such file or directory")
