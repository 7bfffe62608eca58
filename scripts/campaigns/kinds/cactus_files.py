"""Labels and questions of the cacti, with their images in folders or archives."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path
from typing import NamedTuple, Optional

from commands import attempt
from damage import damaged
from rows import assert_explained, encoded, rows_text, some_names

from fashionai.datasets.readers.cactus import READER, SAMPLE_SUBMISSION
from fashionai.datasets.reading import read_data_set
from fashionai.families import CACTUS

TRAIN, ARCHIVE = "train.csv", "train.zip"


class Case(NamedTuple):
    """All files by path, the content of each image, and the labels if the files are sound."""

    files: dict[str, bytes]
    images: dict[str, bytes]
    expected: Optional[list[tuple[str, str]]]


def make(rng: random.Random) -> Case:
    """Up to twelve images; one of the files is damaged in half of the cases."""
    names = [name.replace("/", "_") for name in some_names(rng, hard=True)]
    images = {name: rng.randbytes(rng.randint(0, 50)) for name in names}
    labels = [(name, rng.choice("01")) for name in names]
    rows = rows_text([["id", "has_cactus"], *map(list, labels)], rng)
    questions = rows_text([["id", "has_cactus"], *([name, "0.5"] for name in names)], rng)
    files = {TRAIN: encoded(rows, rng), SAMPLE_SUBMISSION: encoded(questions, rng)}
    place = rng.choice(["train", "train/train", ARCHIVE, ARCHIVE])
    files |= {f"test/{name}": content for name, content in images.items()}
    if place == ARCHIVE:
        files[ARCHIVE] = _archive(images, rng)
    else:
        files |= {f"{place}/{name}": content for name, content in images.items()}
    if rng.random() < 0.5:
        return Case(files, images, labels)
    broken = rng.choice([name for name in (TRAIN, ARCHIVE, SAMPLE_SUBMISSION) if name in files])
    if broken == ARCHIVE and rng.random() < 0.2:
        files[broken] = _odd_archive(images, rng)
    else:
        files[broken] = damaged(files[broken], rng)
    return Case(files, images, None)


def check(case: Case, folder: Path) -> str:
    """Read labels and questions; each row is an image with its own content and label."""
    for name, content in case.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    assert READER.questions is not None
    read = attempt(read_data_set, CACTUS, folder)
    questions = attempt(READER.questions.read, folder / SAMPLE_SUBMISSION, folder)
    if read.word == "accepted":
        found = [(image.file_name, image.label) for image in read.result.images]
        assert_explained(case.files[TRAIN], found, ",")
        for image in read.result.images:
            assert image.read() == case.images[image.file_name], "the content of another image"
            assert image.label == "01"[image.class_index]
    if questions.word == "accepted":
        assert_explained(
            case.files[SAMPLE_SUBMISSION], [(each.image,) for each in questions.result], ","
        )
    if case.expected is not None:
        assert (read.word, questions.word) == ("accepted", "accepted"), (read, questions)
        assert found == case.expected
        assert [each.image for each in questions.result] == [name for name, _ in case.expected]
    both = (read.word, questions.word)
    return "refused" if "refused" in both else "accepted"


def _archive(images: dict[str, bytes], rng: random.Random) -> bytes:
    buffer, inside = io.BytesIO(), rng.choice(["", "train/", "train/train/"])
    method = rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in images.items():
            archive.writestr(inside + name, content)
    return buffer.getvalue()


def _odd_archive(images: dict[str, bytes], rng: random.Random) -> bytes:
    """An archive that unpacks to more than its size, or has members twice, or odd ones."""
    buffer = io.BytesIO()
    kind = rng.choice(["bomb", "many", "twice", "names", "method"])
    method = zipfile.ZIP_LZMA if kind == "method" else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in images.items():
            size = {"bomb": 2**25, "many": 2**23}.get(kind, 0)
            archive.writestr(name, bytes(size) if size else content)
            if kind == "twice":
                archive.writestr(f"train/{name}", b"other")
        for name in ("../x", "/x", "C:x", "a\\..\\x", "\u202e", "x" * 300):
            if kind == "names":
                archive.writestr(name, b"x")
    return buffer.getvalue()
