"""Folders of class folders, with and without splits, and those of the video covers."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import NamedTuple, Optional

from commands import attempt
from rows import CLASSES

from fashionai.datasets.reading import read_data_set, read_own_folders
from fashionai.families import COVERS
from fashionai.files.names import SYSTEM_FOLDERS, comparable

SUFFIXES = (".jpg", ".PNG", ".jpeg", ".webp", ".gif")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
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
    splits = [""] if covers else rng.choice([[""], ["train", "test"], ["Training", "valid", "TEST"]])
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
    if rng.random() < 0.5:
        return Case(covers, files, {place: each for place, each in expected.items()})
    for _ in range(rng.randint(1, 2)):
        files |= _odd(rng.choice([*folders, *splits]), rng)
    return Case(covers, files, None)


def check(case: Case, folder: Path) -> str:
    """Read the folders; each image is used, or the notes say that it is not."""
    root = folder / "photos"
    for name, content in case.files.items():
        file = os.fsencode(root / name)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        if content.startswith(LINK.encode()):
            os.symlink(content[len(LINK) :], file)
        elif name.endswith("/"):
            os.makedirs(file, exist_ok=True)
        elif not os.path.isdir(file):
            with open(file, "wb") as handle:
                handle.write(content)
    if case.covers:
        read = attempt(read_data_set, COVERS, root)
    else:
        read = attempt(read_own_folders, "own", root, ())
    if read.word == "accepted":
        classes = read.result.task.classes
        found = {image.source: image for image in read.result.images}
        assert len(found) == len(read.result.images)
        left_out = " ".join(read.result.notes)
        for place in _images_below(root):
            beside = case.covers and place.split("/")[0] not in COVER_FOLDERS
            told = beside or "images without" in left_out or "1 image without" in left_out
            assert place in found or told, f"{place} was not used"
            if place in found:
                name = comparable(place.split("/")[-2])
                assert name == _class_name(case, classes[found[place].class_index]), place
    if case.expected is not None:
        assert read.word == "accepted", f"sound folders were refused: {read.result}"
        kinds = {"": "", "t": "train", "v": "val"}
        with_val = any(split.startswith("v") for _, split in case.expected.values())
        assert set(found) == set(case.expected)
        for place, (name, split) in case.expected.items():
            kind = "test" if split.lower().startswith("te") else kinds[split[:1].lower()]
            kind = "" if kind == "train" and not with_val else kind
            found_name = _class_name(case, classes[found[place].class_index])
            assert (found_name, found[place].split or "") == (comparable(name), kind)
    return read.word


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
            *("other.tar.gz", "photo.jpg~", "a" * 250 + ".jpg", "only text/a.txt", "__MACOSX/a.jpg"),
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
            if name[0] != "." and name.lower().endswith(tuple(map(str.lower, SUFFIXES))):
                found += [path.relative_to(root).as_posix()] if path.is_file() else []
    return found
