"""prepare as a whole: label files and images in, folders and a summary out."""

from __future__ import annotations

import contextlib
import csv
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import cv2
import numpy as np
import pytest

from fashionai.datasets.prepared.folders import read_split
from fashionai.datasets.prepared.prepare import (
    Summary,
    prepare,
    summary_notes,
    summary_table,
)
from fashionai.datasets.reading import read_data_set, read_own_folders
from fashionai.datasets.records import DataSet, LabelledImage
from fashionai.errors import ConfigError, DataError
from fashionai.families import FASHION_MNIST, find_task
from fashionai.files.locks import locked
from fashionai.tasks import Task
from tests.support.commands import fashionai
from tests.support.data_trees import put, tree, write_fashionai_data, write_idx_set
from tests.support.images import encode

SKIRT = find_task("skirt")


@contextlib.contextmanager
def quiet(description: str, total: int) -> Iterator[Callable[[int], None]]:
    yield lambda done: None


def run(data: Path, out: Path, **options) -> Summary:
    return prepare(read_data_set(SKIRT, data), out, progress=quiet, **options)


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def add_rows(data: Path, label_file: str, *labels: tuple[str, str], like: bytes = b"") -> None:
    """Rows (name, label) with an image each: a new one, or the bytes ``like``."""
    path = data / label_file
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as handle:
        for name, label in labels:
            image = path.parent.parent / "Images" / "skirt_length_labels" / name
            image.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(abs(hash(name))).integers(0, 256, (20, 20, 3), np.uint8)
            image.write_bytes(like or cv2.imencode(".jpg", noise)[1].tobytes())
            handle.write(f"Images/skirt_length_labels/{name},skirt_length_labels,{label}\n")


BASE = "base/Annotations/label.csv"


def first_image(data: Path) -> Path:
    return sorted((data / "base/Images/skirt_length_labels").iterdir())[0]


def test_two_preparations_in_two_places_give_the_same_bytes(tmp_path: Path) -> None:
    trees = []
    for place in ("one", "two"):
        data = write_fashionai_data(tmp_path / place)
        run(data, tmp_path / f"{place}-out", mode="copy")
        trees.append(tree(tmp_path / f"{place}-out"))
    assert trees[0] == trees[1]
    assert "skirt_length_labels/manifest.csv" in trees[0]


def test_every_row_is_in_the_manifest_once_and_splits_are_stratified(fashionai_data, tmp_path):
    summary = run(fashionai_data, tmp_path / "out", val_fraction=0.25)
    listed = rows(summary.folder / "manifest.csv")
    label_rows = (fashionai_data / BASE).read_text().split()
    assert [f"{r['source'].split('/', 1)[1]},{SKIRT.name},{r['label']}" for r in listed] == (
        label_rows
    )
    counts = Counter((int(row["class_index"]), row["split"]) for row in listed)
    # 8 images a class, a quarter of them.
    assert counts == {(c, s): n for c in range(6) for s, n in (("train", 6), ("val", 2))}
    assert summary.counts == counts
    assert summary.changed == 48
    for row in listed:
        folder = SKIRT.folder_names[row["label"].index("y")]
        placed = summary.folder / row["split"] / folder / row["file"]
        assert placed.samefile(fashionai_data / row["source"])


def test_the_split_is_a_tenth_by_default_and_follows_the_seed(tmp_path: Path) -> None:
    data = write_fashionai_data(tmp_path / "data", per_class=20)
    by_seed = []
    for seed in (0, 0, 1):
        summary = run(data, tmp_path / "out", seed=seed)
        assert len(read_split(summary.folder, "val").paths) == 12
        by_seed.append((summary.folder / "manifest.csv").read_bytes())
    assert by_seed[0] == by_seed[1] != by_seed[2]


def test_an_interrupted_preparation_is_repaired_by_the_next(fashionai_data, tmp_path) -> None:
    run(fashionai_data, tmp_path / "whole")

    @contextlib.contextmanager
    def stopping(description: str, total: int) -> Iterator[Callable[[int], None]]:
        done = []

        def advance(count: int) -> None:
            done.append(count)
            if "writing" in description and len(done) == 20:
                raise KeyboardInterrupt

        yield advance

    with pytest.raises(KeyboardInterrupt):
        prepare(read_data_set(SKIRT, fashionai_data), tmp_path / "out", seed=7, progress=stopping)
    assert not (tmp_path / "out" / SKIRT.name / "manifest.csv").exists()
    run(fashionai_data, tmp_path / "out")
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
    assert run(fashionai_data, tmp_path / "out").changed == 0


def test_equal_images_share_a_split_and_conflicts_are_listed(fashionai_data, tmp_path) -> None:
    data, same = fashionai_data, first_image(fashionai_data).read_bytes()
    add_rows(data, BASE, ("twin.jpg", "ynnnnn"), ("other.jpg", "nnnnny"), like=same)
    for seed in range(8):
        summary = run(data, tmp_path / "out", seed=seed, val_fraction=0.5)
        listed = rows(summary.folder / "manifest.csv")
        names = {first_image(data).name, "twin.jpg", "other.jpg"}
        assert len({row["split"] for row in listed if row["file"] in names}) == 1
    assert sum(summary.duplicates.values()) == 2
    assert len(summary.conflicts) == 1
    notes = "\n".join(summary_notes(summary))
    assert "2 images with the same bytes as an earlier image, all in the same split" in notes
    assert (
        "identical images with different classes: "
        f"base/Images/{SKIRT.name}/{first_image(data).name} (Invisible), "
        f"base/Images/{SKIRT.name}/twin.jpg (Invisible), "
        f"base/Images/{SKIRT.name}/other.jpg (Floor)"
    ) in notes
    assert f"classes: fashionai inspect --task skirt --folder {tmp_path / 'out'}" in notes


def test_names_that_collide_between_sets_are_both_kept(fashionai_data, tmp_path) -> None:
    name = first_image(fashionai_data).name
    add_rows(fashionai_data, "web/Annotations/skirt_length_labels.csv", (name, "ynnnnn"))
    add_rows(fashionai_data, "train/Annotations/label.csv", (name, "nnnnny"))
    summary = run(fashionai_data, tmp_path / "out")
    listed = {row["source"]: row for row in rows(summary.folder / "manifest.csv")}
    stem = name[: -len(".jpg")]
    for place, file in (("base", name), ("web", f"{stem}-2.jpg"), ("train", f"{stem}-3.jpg")):
        source = f"{place}/Images/{SKIRT.name}/{name}"
        assert listed[source]["file"] == file
        (placed,) = summary.folder.glob(f"*/*/{file}")
        assert placed.samefile(fashionai_data / source)


def test_a_damaged_image_stops_and_is_listed(fashionai_data, tmp_path) -> None:
    image = first_image(fashionai_data)
    image.write_bytes(image.read_bytes()[:-2])
    (image.parent / sorted(p.name for p in image.parent.iterdir())[3]).write_text("text")
    with pytest.raises(DataError) as caught:
        run(fashionai_data, tmp_path / "out")
    folder = tmp_path / "out" / SKIRT.name
    assert str(caught.value) == (
        f"{fashionai_data / BASE}:1: image base/Images/{SKIRT.name}/{image.name} cannot be used: "
        f"truncated: the end marker is missing; 1 more in {folder / 'rejected.csv'}. "
        "Give --skip-bad to go on"
    )
    assert [p.name for p in folder.iterdir()] == ["rejected.csv"]
    assert rows(folder / "rejected.csv") == [
        {
            "source": f"base/Images/{SKIRT.name}/{name}",
            "label": label,
            "where": f"{fashionai_data / BASE}:{line}",
            "reason": reason,
        }
        for name, label, line, reason in (
            (image.name, "ynnnnn", 1, "truncated: the end marker is missing"),
            ("base0-0003.jpg", "nnnynn", 4, "not an image"),
        )
    ]


def test_skip_bad_goes_on_without_the_damaged_and_only_them(fashionai_data, tmp_path) -> None:
    image = first_image(fashionai_data)
    sound = image.read_bytes()
    image.write_bytes(b"")
    summary = run(fashionai_data, tmp_path / "out", skip_bad=True)
    listed = [row["file"] for row in rows(summary.folder / "manifest.csv")]
    assert len(listed) == 47
    assert image.name not in listed
    assert [reason for _, reason in summary.rejected] == ["empty file"]
    assert f"1 image rejected: {summary.folder / 'rejected.csv'}" in summary_notes(summary)
    # Mended, the next preparation takes it and the list, which a spreadsheet has saved, is gone.
    image.write_bytes(sound)
    listing = summary.folder / "rejected.csv"
    listing.write_text(listing.read_text().replace(",", ";"))
    again = run(fashionai_data, tmp_path / "out")
    assert again.changed == 1
    assert summary_notes(again)[-1].endswith(": 1 file written")
    assert not (again.folder / "rejected.csv").exists()


def test_copies_in_splits_that_the_data_set_gives_are_counted(tmp_path: Path) -> None:
    """Three pictures, of which one is twice in train, in val and in test."""
    images = []
    for number, split in enumerate(["train", "train", "val", "test", "train", "val"]):
        content = encode(0, np.random.default_rng(max(0, number - 3)))
        image = LabelledImage(f"{number}.jpg", None, content, number % 2, "", "", split)
        images.append(image)
    summary = prepare(
        DataSet(Task("two", (), ("a", "b"), "table"), images, []), tmp_path, progress=quiet
    )
    assert (
        "3 images with the same bytes as an earlier image, 2 of them in another split"
        in summary_notes(summary)
    )


def test_nothing_usable_is_an_error(tmp_path: Path) -> None:
    add_rows(tmp_path, BASE, ("a.jpg", "ynnnnn"), like=b"x")
    with pytest.raises(DataError, match="no image of skirt_length_labels can be used"):
        run(tmp_path, tmp_path / "out", skip_bad=True)


def test_classes_without_images_have_folders_and_small_ones_are_reported(tmp_path: Path) -> None:
    add_rows(tmp_path, BASE, *((f"{n}.jpg", "nnynnn") for n in range(10)), ("z.jpg", "nnnynn"))
    summary = run(tmp_path, tmp_path / "out")
    for split in ("train", "val"):
        assert sorted(p.name for p in (summary.folder / split).iterdir()) == [*SKIRT.folder_names]
    assert summary.unsplit_classes == [3]
    assert "class Midi cannot be split: all its images are in train" in summary_notes(summary)


def test_the_notes_count_images_that_are_read_in_a_special_way(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    icon = np.zeros((20, 30, 4), np.uint8)
    icon[5:15, 5:25, 3] = 255
    hidden = rng.integers(0, 256, (20, 30, 4), np.uint8) * np.uint8([1, 1, 1, 0])
    deep = rng.integers(0, 200, (20, 30), np.uint16)
    add_rows(tmp_path, BASE, *((f"{n}.jpg", "nnynnn") for n in range(8)))
    for name, image in (("icon", icon), ("hidden", hidden), ("deep", deep)):
        png = cv2.imencode(".png", image)[1].tobytes()
        add_rows(tmp_path, BASE, (f"{name}.jpg", "nynnnn"), like=png)
    long = cv2.imencode(".png", rng.integers(0, 256, (8, 2000), np.uint8))[1].tobytes()
    add_rows(tmp_path, BASE, ("long.jpg", "nynnnn"), like=long)
    notes = summary_notes(run(tmp_path, tmp_path / "out"))
    place = f"base/Images/{SKIRT.name}"
    assert [note for note in notes if ", for example " in note] == [
        f"1 image of one colour or nearly so, for example {place}/hidden.jpg",
        f"2 images with transparency, laid on white, for example {place}/icon.jpg",
        "1 image with more than 8 bits per value, scaled to its own range, "
        f"for example {place}/deep.jpg",
        "1 image longer than 128 times the short side, of which the middle is used, "
        f"for example {place}/long.jpg",
    ]


def test_a_prepare_of_bad_profiles_prints_no_warning_of_a_library(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for number in range(20):
        png = cv2.imencode(".png", rng.integers(0, 256, (20, 30, 3), np.uint8))[1].tobytes()
        content = b"iCCP" + b"p\0\0" + zlib.compress(b"no profile")
        profile = struct.pack(">I", len(content) - 4) + content
        profile += struct.pack(">I", zlib.crc32(content))
        add_rows(tmp_path, BASE, (f"{number}.jpg", "nnynnn"), like=png[:33] + profile + png[33:])
    notes = summary_notes(run(tmp_path, tmp_path / "out"))
    place = f"base/Images/{SKIRT.name}/0.jpg"
    assert (
        f"20 images with a damaged colour profile, which is ignored, for example {place}" in notes
    )
    assert capfd.readouterr().err == ""


def test_the_summary_table_adds_up(fashionai_data, tmp_path) -> None:
    first_image(fashionai_data).write_bytes(b"")
    summary = run(fashionai_data, tmp_path / "out", skip_bad=True)
    lines = [line.split() for line in summary_table(summary).splitlines()]
    assert lines[0] == ["skirt_length_labels", "train", "val", "rejected", "duplicates"]
    assert [line[0] for line in lines[1:]] == [*SKIRT.classes, "total"]
    numbers = np.array([[int(cell) for cell in line[1:]] for line in lines[1:]])
    np.testing.assert_array_equal(numbers[:-1].sum(axis=0), numbers[-1])
    assert numbers.sum(axis=1).tolist() == [8] * 6 + [48]
    assert numbers[-1, 2] == 1
    assert len({len(line) for line in summary_table(summary).splitlines()}) == 1


def test_fashion_mnist_has_its_own_test_split(tmp_path: Path) -> None:
    arrays = write_idx_set(tmp_path / "data", train=40, test=10)
    trees = []
    for _ in range(2):
        summary = prepare(
            read_data_set(FASHION_MNIST, tmp_path / "data"), tmp_path / "out", progress=quiet
        )
        trees.append(tree(tmp_path / "out"))
    assert trees[0] == trees[1]
    assert summary.changed == 0
    folder = summary.folder
    sizes = {split: len(read_split(folder, split).paths) for split in ("train", "val", "test")}
    assert sizes == {"train": 30, "val": 10, "test": 10}
    test = read_split(folder, "test")
    assert test.class_indices.tolist() == list(range(10))
    for path, image in zip(test.paths, arrays["t10k-images-idx3-ubyte"]):
        np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), image)


def test_an_out_folder_that_is_a_file_is_an_error_with_its_name(fashionai_data, tmp_path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(DataError, match="out: is a file, expected a folder to write to"):
        run(fashionai_data, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_a_full_disk_is_an_error_and_no_traceback(fashionai_data, tmp_path, monkeypatch) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(DataError, match="No space left on device"):
        run(fashionai_data, tmp_path / "out", mode="copy")


def test_a_folder_is_prepared_by_one_process_at_a_time(
    fashionai_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two with different seeds would leave a folder that neither accepts."""
    out = tmp_path / "out"
    out.mkdir()
    arguments = ["--task", "skirt", "--data", fashionai_data, "--out", out]
    with locked(out / ".skirt_length_labels.lock", DataError("busy")):
        assert fashionai("prepare", *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"Error: {out}/skirt_length_labels: is being prepared by another")
    assert list(out.iterdir()) == []
    assert fashionai("prepare", *arguments) == 0
    assert [path.name for path in out.iterdir()] == ["skirt_length_labels"]


def test_what_killed_writes_have_left_is_removed(fashionai_data: Path, tmp_path: Path) -> None:
    arguments = ["--task", "skirt", "--data", fashionai_data, "--out", tmp_path / "out"]
    assert fashionai("prepare", *arguments) == 0
    left = tmp_path / "out/skirt_length_labels/.manifest.csv.0123456789abcdef.tmp"
    left.write_text("half")
    assert fashionai("prepare", *arguments) == 0
    assert not left.exists()


def own_images(folder: Path) -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    for number in range(8):
        put(folder / "ab"[number % 2] / f"{number}.jpg", encode(number, rng))
    return tree(folder)


@pytest.mark.parametrize("link", [False, True])
def test_images_in_the_folder_that_is_written_are_refused_and_kept(
    tmp_path: Path, link: bool
) -> None:
    own_images(tmp_path / "src")
    out = tmp_path / "out"
    prepare(read_own_folders("pets", tmp_path / "src", ()), out, mode="copy", progress=quiet)
    before, data_set = tree(out), read_own_folders("pets", out / "pets", ())
    if link:
        (tmp_path / "link.jpg").symlink_to(data_set.images[0].path)
        images = [data_set.images[0]._replace(path=tmp_path / "link.jpg")]
        data_set = data_set._replace(images=images)
    with pytest.raises(DataError, match=r"lies in .*pets, the folder that prepare writes"):
        prepare(data_set, out, mode="copy", progress=quiet)
    assert tree(out) == before


@pytest.mark.parametrize("name", ["rejected.csv", "applied_corrections.csv", "task.json"])
def test_files_of_the_users_own_are_not_replaced(tmp_path: Path, name: str) -> None:
    own_images(tmp_path / "src")
    put(tmp_path / "out/pets" / name, b'{"mine": 1}')
    data_set = read_own_folders("pets", tmp_path / "src", ())
    with pytest.raises(ConfigError, match=rf"{name}: exists and is not .*Move it"):
        prepare(data_set, tmp_path / "out", progress=quiet)
    assert tree(tmp_path / "out/pets") == {name: b'{"mine": 1}'}
