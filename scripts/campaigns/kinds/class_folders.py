"""Folders of class folders, with and without splits, and those of the video covers."""

from __future__ import annotations

import contextlib
import os
import random
from pathlib import Path
from typing import NamedTuple, Optional

from commands import attempt
from rows import CLASSES

from fashionai.datasets.reading import read_data_set, read_own_folders
from fashionai.datasets.records import DataSet
from fashionai.families import COVERS
from fashionai.files.names import SYSTEM_FOLDERS, comparable

SUFFIXES = (".jpg", ".PNG", ".jpeg", ".webp", ".gif")
IMAGE_ENDINGS = tuple(map(str.lower, SUFFIXES))
PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
SPLITS = ([""], ["train", "test"], ["Training", "valid", "TEST"])
LINK = "link to "
COVER_FOLDERS = ("negative", "positive")


class Case(NamedTuple):
    """Files by path with their content, links with their targets; (class, split) by image."""

    covers: bool
    files: dict[str, bytes]
    expected: Optional[dict[str, tuple[str, str]]]


def make(rng: random.Random) -> Case:
    """Up to three splits; what is passed over beside the images; and odd things in half of them."""
    covers = rng.random() < 0.3
    classes = COVER_FOLDERS if covers else rng.choice(CLASSES)
    splits = [""] if covers else rng.choice(SPLITS)
    expected = {}
    for split in splits:
        for name in classes:
            for number in range(rng.randint(1, 4)):
                image = f"{rng.choice(['', 'é ', 'a,'])}{number}{rng.choice(['', *SUFFIXES])}"
                place = f"{split}/{name}/{image}".lstrip("/")
                expected[place] = (name, split)
    files = dict.fromkeys(expected, PNG)
    folders = sorted({place.rpartition("/")[0] for place in files})
    for _ in range(rng.randint(0, 3)):
        other = rng.choice(["notes.txt", ".DS_Store", "Thumbs.db", ".hidden/a.jpg", "labels.csv"])
        files[f"{rng.choice(folders)}/{other}"] = b"text"
    if rng.random() < 0.4:
        return Case(covers, files, expected)
    for _ in range(rng.randint(1, 4)):
        files |= _odd(rng.choice([*folders, *splits]), rng)
    return Case(covers, files, None)


def check(case: Case, folder: Path) -> str:
    """Read the folders; each image is used, or the notes say that it is not."""
    root = folder / "photos"
    for name, content in case.files.items():
        _put(root / name, content, is_folder=name.endswith("/"))
    if case.covers:
        read = attempt(read_data_set, COVERS, root)
    else:
        read = attempt(read_own_folders, "own", root, ())
    if read.word == "accepted":
        _assert_used(case, read.result, root)
    if case.expected is not None:
        assert read.word == "accepted", f"sound folders were refused: {read.result}"
        _assert_as_expected(case, read.result, case.expected)
    return read.word


def _put(file: Path, content: bytes, is_folder: bool) -> None:
    """Make a file, a link or a folder beside the others; names need not be UTF-8."""
    if file.is_symlink() or file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    if content.startswith(LINK.encode()):
        file.symlink_to(content[len(LINK) :].decode())
    elif is_folder:
        file.mkdir()
    else:
        file.write_bytes(content)


def _assert_used(case: Case, data_set: DataSet, root: Path) -> None:
    found = {image.source: image for image in data_set.images}
    assert len(found) == len(data_set.images), "an image twice"
    notes = " ".join(data_set.notes)
    for place in _images_below(root):
        beside = case.covers and place.split("/")[0] not in COVER_FOLDERS
        told = beside or "images without" in notes or "1 image without" in notes
        assert place in found or told, f"{place} was not used"
        if place in found:
            name = _class_name(case, data_set.task.classes[found[place].class_index])
            assert comparable(place.split("/")[-2]) == name, place


def _assert_as_expected(
    case: Case, data_set: DataSet, expected: dict[str, tuple[str, str]]
) -> None:
    """Without images for validation, prepare chooses some among those for training."""
    found = {image.source: image for image in data_set.images}
    assert set(found) == set(expected)
    kinds = {"": "", "tr": "train", "va": "val", "te": "test"}
    if not any(split.startswith("v") for _, split in expected.values()):
        kinds["tr"] = ""
    for place, (name, split) in expected.items():
        image = found[place]
        class_name = _class_name(case, data_set.task.classes[image.class_index])
        assert (class_name, image.split or "") == (comparable(name), kinds[split[:2].lower()])


def _class_name(case: Case, name: str) -> str:
    """The name of a class as its folder has it."""
    return COVER_FOLDERS[COVERS.classes.index(name)] if case.covers else name


def _odd(place: str, rng: random.Random) -> dict[str, bytes]:
    """Something that may not be in a folder of images."""
    target = rng.choice(["..", ".", "missing", "/dev/zero", "../../..", "a" * 300])
    name = rng.choice(
        [
            *("deep/er/a.jpg", "a.jpg", "train/a.jpg", "Cat/b.jpg", "cat /b.jpg", "e\u0301/c.png"),
            *("\udcff.jpg", "bad\udcb9/a.png", "\u202ea.jpg", "line\nbreak.png", "\x1b[31m.gif"),
            *("empty/", "test/", "a.jpg/", "2.0/a.jpg", "nan/a.jpg", "x.heic", "no suffix", ".jpg"),
            *("other.tar.gz", "photo.jpg~", "a" * 250 + ".jpg", "text/a.txt", "__MACOSX/a.jpg"),
        ]
    )
    linked = rng.random() < 0.2 and not name.endswith("/")
    return {f"{place}/{name}".lstrip("/"): f"{LINK}{target}".encode() if linked else PNG}


def _images_below(root: Path) -> list[str]:
    """The files with an image's suffix that are not hidden, by path relative to the root."""
    found = []
    for place, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name[0] != "." and name not in SYSTEM_FOLDERS]
        for name in files:
            path = Path(place, name)
            is_image = name[0] != "." and name.lower().endswith(IMAGE_ENDINGS)
            with contextlib.suppress(OSError):  # a link to a name that is too long
                found += [path.relative_to(root).as_posix()] * (is_image and path.is_file())
    return found
