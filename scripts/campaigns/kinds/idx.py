"""The four files of Fashion-MNIST, packed and unpacked."""

from __future__ import annotations

import gzip
import random
import struct
import zlib
from pathlib import Path
from typing import NamedTuple, Optional

import cv2
import numpy as np
from commands import attempt
from damage import damaged

from fashionai.datasets.reading import read_data_set
from fashionai.families import find_task

FASHION_MNIST = find_task("fashion-mnist")
NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte")
FILES = (*NAMES, "t10k-labels-idx1-ubyte")
BLOCK = gzip.compress(bytes(2**24), 1)


class Case(NamedTuple):
    """The content of each file by name, and whether all are sound."""

    files: dict[str, bytes]
    sound: bool


def make(rng: random.Random) -> Case:
    """Images of up to 6x6 pixels; one file is damaged in more than half of the cases."""
    files = {}
    for part in ("train", "t10k"):
        count, height, width = rng.randint(1, 8), rng.randint(1, 6), rng.randint(1, 6)
        pixels = rng.randbytes(count * height * width)
        files[f"{part}-images-idx3-ubyte"] = (
            struct.pack(">4B3I", 0, 0, 8, 3, count, height, width) + pixels
        )
        labels = bytes(rng.randrange(10) for _ in range(count))
        files[f"{part}-labels-idx1-ubyte"] = struct.pack(">4BI", 0, 0, 8, 1, count) + labels
    sound = rng.random() < 0.4
    broken = rng.choice(FILES)
    if not sound:
        files[broken] = _broken(files[broken], rng)
    named = {}
    for name, content in files.items():
        packed = rng.random() < 0.5 and not content.startswith(b"\x1f\x8b")
        content = gzip.compress(content, 1, mtime=0) if packed else content
        if packed and name == broken and not sound and rng.random() < 0.7:
            content = damaged(content, rng)
        named[name + rng.choice(["", ".gz"])] = content
    return Case(named, sound)


def check(case: Case, folder: Path) -> str:
    """Read the files; pixels and labels are those of a reading by struct."""
    for name, content in case.files.items():
        (folder / name).write_bytes(content)
    read = attempt(read_data_set, FASHION_MNIST, folder)
    if case.sound:
        assert read.word == "accepted", f"sound files were refused: {read.result}"
    if read.word == "accepted":
        found = [
            (_pixels(image.content), image.class_index, image.split) for image in read.result.images
        ]
        assert found == _plain_reading(case.files), "other images than by struct"
        assert all(
            image.label == FASHION_MNIST.classes[image.class_index] for image in read.result.images
        )
    return read.word


def _broken(content: bytes, rng: random.Random) -> bytes:
    """Damaged bytes, other numbers in the header, or values that unpack to 640 MiB."""
    kind = rng.random()
    if kind < 0.02:
        return gzip.compress(content, 1, mtime=0) + BLOCK * 40
    if kind < 0.4:
        at = 4 * rng.randrange(1, 4)
        number = rng.choice([0, 1, 2, 7, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1])
        return content[:at] + struct.pack(">I", number) + content[at + 4 :]
    return damaged(content, rng)


def _plain_reading(files: dict[str, bytes]) -> list[tuple[list[list[int]], int, Optional[str]]]:
    """Pixels, label and split of each image."""
    records = []
    for part, split in (("train", None), ("t10k", "test")):
        images, labels = (
            _unpacked(next(files[each] for each in files if each.startswith(f"{part}-{kind}")))
            for kind in ("images", "labels")
        )
        count, height, width = struct.unpack(">III", images[4:16])
        assert len(images) == 16 + count * height * width
        assert struct.unpack(">I", labels[4:8]) == (count,) == (len(labels) - 8,)
        for at in range(count):
            start = 16 + at * height * width
            rows = [
                list(images[start + row * width : start + (row + 1) * width])
                for row in range(height)
            ]
            records.append((rows, labels[8 + at], split))
    return records


def _unpacked(content: bytes) -> bytes:
    """The bytes of all members of a gzip file; those of any other file as they are."""
    if not content.startswith(b"\x1f\x8b"):
        return content
    parts = []
    while content.strip(b"\0"):
        reader = zlib.decompressobj(31)
        parts.append(reader.decompress(content.lstrip(b"\0")))
        content = reader.unused_data
    return b"".join(parts)


def _pixels(content: Optional[bytes]) -> list[list[int]]:
    assert content is not None
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    return [[int(value) for value in row] for row in pixels]
