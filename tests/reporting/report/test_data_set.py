"""The described images are those of the prepared folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np

from fashionai.datasets.prepared.folders import plan_folders, read_split, write_folders
from fashionai.datasets.records import LabelledImage
from fashionai.reporting.report.data_set import describe_data_set, find_duplicates
from tests.support.prepared_data import ONE, write_prepared


def picture(width: int, height: int, seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


def write_images(folder: Path) -> Path:
    """Eight images of three classes, two of them copies of others, one with another class."""
    rows = [
        *(("train", "a1", 0, "a"), ("train", "a2", 0, "a"), ("train", "b1", 1, "b")),
        *(("train", "c1", 2, "c"), ("val", "a3", 0, "a"), ("val", "b2", 1, "b")),
        *(("test", "c2", 2, "c"), ("test", "c3", 2, "c")),
    ]
    write_prepared(folder, ONE, rows)
    sizes = {"a1": (40, 30), "a2": (30, 40), "b1": (40, 30), "c1": (64, 64), "c3": (64, 64)}
    for number, name in enumerate(sizes):
        (path,) = folder.glob(f"*/*/{name}")
        path.write_bytes(picture(*sizes[name], number))
    for name, original in (("a3", "a1"), ("b2", "c1"), ("c2", "c1")):
        (path,), (source,) = folder.glob(f"*/*/{name}"), folder.glob(f"*/*/{original}")
        shutil.copyfile(source, path)
    return folder


def test_balance_and_sizes(tmp_path: Path) -> None:
    found = describe_data_set(write_images(tmp_path / "one"), ONE)
    assert (found.problem, found.images, found.sized) == ("", 8, 8)
    assert {line.name: line.counts for line in found.balance} == {
        "a": {"train": 2, "val": 1, "test": 0},
        "b": {"train": 1, "val": 1, "test": 0},
        "c": {"train": 1, "val": 0, "test": 2},
    }
    assert found.sizes["train"] == {(40, 30): 2, (30, 40): 1, (64, 64): 1}
    assert found.sizes["val"] == {(40, 30): 1, (64, 64): 1}


def test_pseudo_labels_are_counted_apart(tmp_path: Path) -> None:
    rows = [("a1", "train", 0, None), ("b1", "val", 1, None), ("new", "train", 1, 0.9)]
    images = [
        LabelledImage(name, None, picture(8, 9, number), index, "abc"[index], "", split, "", share)
        for number, (name, split, index, share) in enumerate(rows)
    ]
    write_folders(tmp_path, ONE, plan_folders(images, [split for _, split, *_ in rows]), "copy")
    found = describe_data_set(tmp_path, ONE)
    assert (found.problem, found.images) == ("", 3)
    assert found.balance[1].counts == {"train": 0, "val": 1, "pseudo-labels": 1}
    assert found.sizes["pseudo-labels"] == {(8, 9): 1}


def test_duplicates_across_splits_and_classes(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "one")
    found = find_duplicates({name: read_split(folder, name) for name in ("train", "val", "test")})
    assert (found.images, found.crossing, found.conflicting) == (3, 2, 1)
    named = [[(Path(path).name, split, kind) for path, split, kind in g] for g in found.groups]
    assert named == [
        [("c1", "train", "c"), ("b2", "val", "b"), ("c2", "test", "c")],
        [("a1", "train", "a"), ("a3", "val", "a")],
    ]


def test_files_of_one_size_and_end_differ_in_their_middle(tmp_path: Path) -> None:
    rows = [("train", f"a{n}", 0, "a") for n in range(3)]
    folder = write_prepared(tmp_path / "one", ONE, rows)
    for number, middle in enumerate((b"x", b"y", b"x")):
        (path,) = folder.glob(f"*/*/a{number}")
        path.write_bytes(b"begin" + middle + bytes(100))
    found = find_duplicates({"train": read_split(folder, "train")})
    assert [[Path(path).name for path, *_ in group] for group in found.groups] == [["a0", "a2"]]


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    assert "not a prepared folder" in describe_data_set(tmp_path / "none", ONE).problem
