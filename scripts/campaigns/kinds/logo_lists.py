"""The four lists of FlickrLogos-32."""

from __future__ import annotations

import random
import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Optional

from commands import attempt
from damage import damaged
from rows import CODECS, ENDS, encoded, put_images

from fashionai.datasets.readers.flickrlogos import LIST_SIZES, VAL_NO_LOGO_LIST
from fashionai.datasets.reading import read_data_set
from fashionai.families import LOGOS

BRANDS = [name for name in LOGOS.classes if name != LOGOS.background]
# The split of each list; the first half of the images without logos is for training.
SPLITS = dict(zip(LIST_SIZES, ("train", "val", "val", "test")))


class Case(NamedTuple):
    """The content of each list, the images, and (path, brand, split) if the lists are sound."""

    lists: dict[str, bytes]
    names: tuple[str, ...]
    expected: Optional[list[tuple[str, str, str]]]


def make(rng: random.Random) -> Case:
    """Up to eight rows in each list, with folders in any case and separators of two systems."""
    lists, names, expected = {}, [], []
    for name, split in SPLITS.items():
        no_logo = name == VAL_NO_LOGO_LIST
        count = rng.randint(2, 8)
        lines = []
        for row in range(count):
            brand = LOGOS.background if no_logo else rng.choice(BRANDS)
            path = f"classes/jpg/{brand}/{rng.choice(['', 'ü ', 'a,b '])}{len(names)}.jpg"
            names.append(path)
            moved = no_logo and row < round(count / 2)
            expected.append((path, brand, "train" if moved else split))
            lines.append(_written(path, rng))
            lines += rng.choice([[], [], [], ["", "  "]])
        text = rng.choice(ENDS).join(lines) + rng.choice(["", "\n"])
        lists[name] = encoded(text, rng)
    if rng.random() < 0.5:
        return Case(lists, tuple(names), expected)
    name = rng.choice(list(lists))
    return Case({**lists, name: damaged(lists[name], rng)}, tuple(names), None)


def check(case: Case, folder: Path) -> str:
    """Read the lists; each line is an image, with its brand and split."""
    put_images(folder, case.names)
    for name, content in case.lists.items():
        (folder / name).write_bytes(content)
    read = attempt(read_data_set, LOGOS, folder)
    if read.word == "accepted":
        assert all(each.path.is_file() for each in read.result.images)
        found = {
            (each.source, LOGOS.classes[each.class_index], each.split)
            for each in read.result.images
        }
        assert len(found) == len(read.result.images)
        for content in case.lists.values():
            _assert_used(content, [each.source for each in read.result.images])
    if case.expected is not None:
        assert read.word == "accepted", f"sound lists were refused: {read.result}"
        assert found == set(case.expected)
    return read.word


def _written(path: str, rng: random.Random) -> str:
    parent, name = path.rsplit("/", 1)
    first, brand = parent.rsplit("/", 1)
    brand = rng.choice([brand, brand, brand.upper(), brand.title()])
    path = f"{first}/{brand}/{name}"
    return rng.choice([path, path, f"./{path}", path.replace("/", "\\"), f" {path}\t"])


def _assert_used(content: bytes, sources: list[str]) -> None:
    """AssertionError unless by some encoding each line that is not blank is one of the images."""
    names = {PurePosixPath(source).stem.strip() for source in sources}
    for codec in CODECS:
        try:
            lines = re.split("[\r\n]+", content.decode(codec))
        except UnicodeDecodeError:
            continue
        paths = [line.strip().replace("\\", "/") for line in lines if line.strip()]
        if paths and all(PurePosixPath(path).stem.strip() in names for path in paths):
            return
    raise AssertionError("a line of a list was not used")
