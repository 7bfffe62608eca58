"""Per-class folders: planning, writing, repairing, and reading back."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashionai.datasets.prepared.folders import (
    plan_folders,
    read_split,
    read_task,
    write_folders,
)
from fashionai.datasets.prepared.manifest import MANIFEST
from fashionai.datasets.prepared.placing import put
from fashionai.datasets.prepared.split import split_records
from fashionai.datasets.records import LabelledImage
from fashionai.families import FASHION_MNIST, find_task
from tests.support.data_trees import tree
from tests.support.errors import error_of

SKIRT = find_task("skirt")
LABELS = ["ynnnnn", "nynnnn", "nnymnn", "nnnynn", "nnnnym", "nnnnny"]
MODES = ["hardlink", "copy", "symlink"]


def records(folder: Path, count: int = 18) -> list[LabelledImage]:
    folder.mkdir(parents=True, exist_ok=True)
    images = []
    for row in range(count):
        path = folder / f"{row:02d}.jpg"
        if not path.exists():
            path.write_bytes(f"image {row}".encode() * (row + 1))
        label = LABELS[row % 6]
        source = f"base/Images/s/{path.name}"
        images.append(LabelledImage(source, path, None, row % 6, label, f"label.csv:{row + 1}"))
    return images


def splits(count: int) -> list[str]:
    return ["val" if row % 3 == 2 else "train" for row in range(count)]


@pytest.fixture
def planned(tmp_path: Path):
    images = records(tmp_path / "source")
    return plan_folders(images, splits(len(images)))


@given(
    st.lists(st.sampled_from(["a.jpg", "A.JPG", "a-2.jpg", "b.png", ".a.jpg", "a"]), max_size=30)
)
def test_file_names_are_distinct_visible_and_in_row_order(names: list[str]) -> None:
    images = [LabelledImage(f"base/x/{n}", None, b"", 0, "", "f:1") for n in names]
    planned = plan_folders(images, ["train"] * len(names))
    files = [item.file for item in planned]
    # Also on file systems that do not tell upper from lower case.
    assert len({file.lower() for file in files}) == len(names)
    assert not any(file.startswith(".") for file in files)
    seen: set[str] = set()
    for name, file in zip(names, files):
        if name.lstrip(".").lower() not in seen:
            assert file == name.lstrip(".")
        assert Path(file).suffix == Path(name.lstrip(".")).suffix
        seen.add(file.lower())


def test_names_that_are_taken_get_the_next_number() -> None:
    images = [LabelledImage(f"{s}/x/a.jpg", None, b"", 0, "", "") for s in ("base", "web", "train")]
    files = [item.file for item in plan_folders(images, ["train"] * 3)]
    assert files == ["a.jpg", "a-2.jpg", "a-3.jpg"]


@pytest.mark.parametrize("distinct", [80_000, 1])
def test_planning_80000_rows_takes_seconds(distinct: int) -> None:
    images = [
        LabelledImage(f"base/Images/s/{row % distinct}.jpg", None, b"", row % 6, "", "f:1")
        for row in range(80_000)
    ]
    contents = [hashlib.sha256(str(row % 79_000).encode()).hexdigest() for row in range(80_000)]
    start = time.process_time()
    split = split_records([image.class_index for image in images], contents, 0.1, 0)
    planned = plan_folders(images, split.names)
    assert time.process_time() - start < 5
    assert len({item.file for item in planned}) == 80_000


@pytest.mark.parametrize("mode", MODES)
def test_folders_hold_the_images_and_the_manifest_lists_them(tmp_path, planned, mode) -> None:
    out = tmp_path / "out"
    assert sum(write_folders(out, SKIRT, planned, mode)) == 18
    lines = (out / "manifest.csv").read_text().splitlines()
    assert lines[0] == "split,class_index,class_name,file,source,label"
    assert lines[3] == "val,2,Knee,02.jpg,base/Images/s/02.jpg,nnymnn"
    assert len(lines) == 19
    for row in range(18):
        split = "val" if row % 3 == 2 else "train"
        placed = out / split / SKIRT.folder_names[row % 6] / f"{row:02d}.jpg"
        assert placed.read_bytes() == f"image {row}".encode() * (row + 1)
    assert sorted(path.name for path in out.iterdir()) == [
        *("manifest.csv", "task.json", "train", "val")
    ]
    for split in ("train", "val"):
        # Empty classes have their folder too, and sorted folders are in class order.
        assert [p.name for p in sorted((out / split).iterdir())] == list(SKIRT.folder_names)


def test_hard_links_share_their_inode_copies_do_not_and_symlinks_resolve(tmp_path, planned) -> None:
    source = tmp_path / "source" / "00.jpg"
    place = planned[0].place(SKIRT)
    for mode in MODES:
        write_folders(tmp_path / mode, SKIRT, planned, mode)
    assert (tmp_path / "hardlink" / place).stat().st_ino == source.stat().st_ino
    assert not (tmp_path / "hardlink" / place).is_symlink()
    assert (tmp_path / "copy" / place).stat().st_ino != source.stat().st_ino
    link = tmp_path / "symlink" / place
    assert link.is_symlink()
    assert link.resolve() == source
    assert not os.path.isabs(os.readlink(link))  # noqa: PTH115, PTH117 - the raw target
    manifests = {(tmp_path / mode / "manifest.csv").read_bytes() for mode in MODES}
    assert len(manifests) == 1


def test_symlinks_still_resolve_after_the_whole_tree_moves(tmp_path: Path) -> None:
    images = records(tmp_path / "a" / "source")
    write_folders(tmp_path / "a" / "out", SKIRT, plan_folders(images, splits(18)), "symlink")
    (tmp_path / "a").rename(tmp_path / "b")
    assert len(read_split(tmp_path / "b" / "out", "train").paths) == 12
    assert all(p.read_bytes() for p in read_split(tmp_path / "b" / "out", "train").paths)


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP])
def test_where_links_cannot_be_made_images_are_copied(tmp_path, planned, monkeypatch, code) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    out = tmp_path / "out"
    assert sum(write_folders(out, SKIRT, planned, "hardlink")) == 18
    placed = out / planned[4].place(SKIRT)
    assert placed.read_bytes() == planned[4].image.read()
    assert placed.stat().st_nlink == 1
    assert sum(write_folders(out, SKIRT, planned, "hardlink")) == 0


@pytest.mark.parametrize("mode", MODES)
def test_preparing_again_changes_nothing(tmp_path, planned, mode) -> None:
    out = tmp_path / "out"
    write_folders(out, SKIRT, planned, mode)
    before = tree(out)
    assert sum(write_folders(out, SKIRT, planned, mode)) == 0
    assert tree(out) == before


@pytest.mark.parametrize("mode", MODES)
def test_deleted_and_damaged_files_are_put_back(tmp_path, planned, mode) -> None:
    out = tmp_path / "out"
    write_folders(out, SKIRT, planned, mode)
    before = tree(out)
    places = [out / item.place(SKIRT) for item in planned]
    places[0].unlink()
    places[5].unlink()
    places[7].unlink()
    places[7].write_bytes(b"other")
    (out / "task.json").unlink()
    (out / "train" / SKIRT.folder_names[0] / ".00.jpg.x.tmp").write_bytes(b"half")
    assert sum(write_folders(out, SKIRT, planned, mode)) == 3
    assert tree(out) == before


@pytest.mark.parametrize("stop_at", [0, 1, 9, 17])
@pytest.mark.parametrize("mode", MODES)
def test_an_interrupted_run_is_not_taken_for_complete_and_repaired(
    tmp_path, planned, mode, stop_at
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    write_folders(whole, SKIRT, planned, mode)
    calls = []

    def stop(done: int) -> None:
        calls.append(done)
        if len(calls) > stop_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_folders(out, SKIRT, planned, mode, stop)
    assert "not a prepared folder" in error_of(read_split, out, "train")
    # Another seed: images change sides, and what the interrupted run left has to go.
    swapped = plan_folders(
        [item.image for item in planned], ["train" if row % 3 else "val" for row in range(18)]
    )
    write_folders(out, SKIRT, swapped, mode)
    write_folders(out, SKIRT, planned, mode)
    assert tree(out) == tree(whole)


def test_a_complete_folder_counts_as_unfinished_while_it_is_changed(tmp_path, planned) -> None:
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    write_folders(out, SKIRT, planned, "hardlink")
    changed = plan_folders([item.image for item in planned], ["val", "train"] * 9)

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_folders(out, SKIRT, changed, "hardlink", stop)
    assert "not a prepared folder" in error_of(read_split, out, "train")
    write_folders(out, SKIRT, changed, "hardlink")
    write_folders(fresh, SKIRT, changed, "hardlink")
    assert tree(out) == tree(fresh)


def test_another_seed_moves_images_and_leaves_no_stale_ones(tmp_path, planned) -> None:
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    write_folders(out, SKIRT, planned, "hardlink")
    images = [item.image for item in planned]
    moved = plan_folders(images[:-4], ["train"] * 10 + ["val"] * 4)
    write_folders(out, SKIRT, moved, "hardlink")
    write_folders(fresh, SKIRT, moved, "hardlink")
    assert tree(out) == tree(fresh)


def test_a_removed_split_leaves_no_empty_folders(tmp_path, planned) -> None:
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    write_folders(out, SKIRT, planned, "copy")
    all_train = plan_folders([item.image for item in planned], ["train"] * 18)
    write_folders(out, SKIRT, all_train, "copy")
    write_folders(fresh, SKIRT, all_train, "copy")
    assert tree(out) == tree(fresh)
    assert "no images" in error_of(read_split, out, "val")


@pytest.mark.parametrize("first", MODES)
@pytest.mark.parametrize("second", MODES)
def test_changing_the_mode_keeps_the_content(tmp_path, planned, first, second) -> None:
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    sources = tree(tmp_path / "source")
    write_folders(out, SKIRT, planned, first)
    write_folders(out, SKIRT, planned, second)
    write_folders(fresh, SKIRT, planned, second)
    assert tree(out) == tree(fresh)
    assert tree(tmp_path / "source") == sources
    placed = out / planned[3].place(SKIRT)
    assert placed.is_symlink() == (second == "symlink")
    if second == "copy":
        assert placed.stat().st_nlink == 1


@pytest.mark.parametrize("place", ["train/0_Invisible/mine.jpg", "val/my_own/mine.jpg"])
def test_a_foreign_file_is_refused_and_kept(tmp_path, planned, place) -> None:
    out = tmp_path / "out"
    write_folders(out, SKIRT, planned, "hardlink")
    foreign = out / place
    foreign.parent.mkdir(exist_ok=True)
    foreign.write_bytes(b"mine")
    before = tree(out)
    message = error_of(write_folders, out, SKIRT, planned, "hardlink")
    assert message.startswith(f"{foreign} was not put there by prepare")
    assert tree(out) == before


def test_a_foreign_folder_is_refused_before_anything_was_prepared(tmp_path, planned) -> None:
    foreign = tmp_path / "out" / "train" / "cats" / "1.jpg"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"mine")
    error_of(write_folders, tmp_path / "out", SKIRT, planned, "hardlink")
    assert tree(tmp_path / "out") == {
        "train": None,
        "train/cats": None,
        "train/cats/1.jpg": b"mine",
    }


@pytest.mark.parametrize("mode", MODES)
def test_an_image_is_never_removed_to_make_room_for_itself(tmp_path, planned, mode) -> None:
    image = planned[0].image
    before = image.path.read_bytes()
    if mode == "symlink":
        assert "is the image itself" in error_of(put, image, image.path, mode)
    else:
        put(image, image.path, mode)
    assert image.path.read_bytes() == before


@pytest.mark.parametrize("mode", MODES)
def test_a_foreign_file_of_a_planned_name_is_refused_and_kept(tmp_path, planned, mode) -> None:
    """Somebody's own class folders may have the names of ours, and other images in them."""
    foreign = tmp_path / "out" / planned[3].place(SKIRT)
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"mine")
    before = tree(tmp_path / "out")
    message = error_of(write_folders, tmp_path / "out", SKIRT, planned, mode)
    assert message.startswith(f"{foreign} was not put there by prepare")
    assert tree(tmp_path / "out") == before


def test_without_a_manifest_the_same_images_may_stay(tmp_path, planned) -> None:
    out = tmp_path / "out"
    write_folders(out, SKIRT, planned, "copy")
    before = tree(out)
    (out / MANIFEST).unlink()
    assert write_folders(out, SKIRT, planned, "copy").written == 0
    assert tree(out) == before


def test_what_desktops_and_notebooks_leave_is_ignored(tmp_path, planned) -> None:
    out = tmp_path / "out"
    write_folders(out, SKIRT, planned, "hardlink")
    for name in ("train/.DS_Store", "train/0_Invisible/.DS_Store", "val/notes.txt"):
        (out / name).write_bytes(b"x")
    checkpoints = out / "train" / ".ipynb_checkpoints"
    checkpoints.mkdir()
    (checkpoints / "a.ipynb").touch()
    assert sum(write_folders(out, SKIRT, planned, "hardlink")) == 0
    assert len(read_split(out, "train").paths) == 12


def test_a_split_is_read_in_manifest_order_with_its_marks(tmp_path, planned) -> None:
    out = tmp_path / "out"
    write_folders(out, SKIRT, planned, "copy")
    split = read_split(out, "val")
    assert split.task == SKIRT
    assert [path.name for path in split.paths] == [f"{row:02d}.jpg" for row in range(2, 18, 3)]
    assert split.sources[0] == "base/Images/s/02.jpg"
    assert split.class_indices.tolist() == [2, 5, 2, 5, 2, 5]
    assert split.marks[0].tolist() == [0, 0, 2, 1, 0, 0]
    assert split.marks.dtype == np.int8


def test_a_family_without_letters_has_marks_from_classes(tmp_path: Path) -> None:
    images = [
        LabelledImage(f"t/{n}.png", None, b"png", n, FASHION_MNIST.classes[n], "", "test")
        for n in range(10)
    ]
    write_folders(tmp_path / "out", FASHION_MNIST, plan_folders(images, ["test"] * 10), "hardlink")
    split = read_split(tmp_path / "out", "test")
    np.testing.assert_array_equal(split.marks, 2 * np.eye(10, dtype=np.int8))
    assert [path.parent.name for path in split.paths] == list(FASHION_MNIST.folder_names)
    assert read_task(tmp_path / "out") == FASHION_MNIST


def test_reading_names_missing_and_extra_images(tmp_path, planned) -> None:
    out = tmp_path / "out"
    write_folders(out, SKIRT, planned, "copy")
    extra = out / "train" / SKIRT.folder_names[1] / "more.jpg"
    extra.touch()
    assert f"{extra.relative_to(out)} is not in manifest.csv" in error_of(read_split, out, "train")
    (out / planned[0].place(SKIRT)).unlink()
    message = error_of(read_split, out, "train")
    assert f"{planned[0].place(SKIRT)} is missing (and 1 more)" in message
    assert len(read_split(out, "val").paths) == 6


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (",label\n", "\n", "found columns 'split,class_index,class_name,file,source', expected"),
        ("train,0,", "train,x,", "manifest.csv:2: class_index is 'x', expected 0 to 5"),
        ("train,0,", "train,6,", "manifest.csv:2: class_index is '6', expected 0 to 5"),
        (",ynnnnn\n", "\n", "manifest.csv:2: expected the fields split,class_index,"),
        (",ynnnnn\n", ",nynnnn\n", "manifest.csv:2: label 'nynnnn' does not go with class_index 0"),
        (",ynnnnn\n", ",y?nnnn\n", "manifest.csv:2: label 'y?nnnn' does not go with"),
        (",ynnnnn\n", ",y\n", "manifest.csv:2: label 'y' does not go with"),
        ("Invisible", "\udcff", "manifest.csv: cannot be read as CSV: "),
    ],
)
def test_an_edited_manifest_is_an_error_with_its_line(tmp_path, planned, old, new, problem) -> None:
    out = tmp_path / "out"
    write_folders(out, SKIRT, planned, "copy")
    manifest = out / "manifest.csv"
    text = manifest.read_text().replace(old, new, 1)
    manifest.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert problem in error_of(read_split, out, "train")
