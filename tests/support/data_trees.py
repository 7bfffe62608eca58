"""Small generated trees in the shapes of the data sets that readers know.

Images are noisy squares whose colour tells their class (class_index modulo six
hues), so that a network learns them in seconds.
"""

from __future__ import annotations

import gzip
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from tests.support.images import draw_image, encode

NO_LOGO = "no-logo"


def put(path: Path, content: bytes | str = b"") -> Path:
    """A file with its folders; without content it will do for readers that only list it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_table(
    folder: Path, classes: Sequence[str] = ("cat", "dog", "owl"), per_class: int = 8, seed: int = 0
) -> Path:
    """``labels.csv`` with header path,label and ``images/<number>.jpg``; returns the folder."""
    rng = np.random.default_rng(seed)
    rows = ["path,label"]
    for index in range(per_class * len(classes)):
        truth = index % len(classes)
        put(folder / f"images/{index:04d}.jpg", encode(truth, rng))
        rows.append(f"{index:04d}.jpg,{classes[truth]}")
    put(folder / "labels.csv", "\n".join(rows) + "\n")
    return folder


def write_class_folders(
    folder: Path,
    counts: Mapping[str, int] | None = None,
    classes: Sequence[str] = ("cat", "dog", "owl"),
    seed: int = 0,
) -> Path:
    """``<split>/<class>/<number>.jpg``, images a class by split; the split "" has no folder."""
    rng = np.random.default_rng(seed)
    for split, count in (counts or {"": 8}).items():
        for truth, name in enumerate(classes):
            for index in range(count):
                put(folder / split / name / f"{index:03d}.jpg", encode(truth, rng))
    return folder


def write_logos(
    folder: Path,
    per_brand: Mapping[str, int],
    no_logo: Mapping[str, int],
    brands: Sequence[str],
    *,
    empty: bool = False,
    seed: int = 0,
) -> Path:
    """A FlickrLogos-32 v2 tree: ``per_brand`` images of each brand by list, ``no_logo`` ones.

    Lists are trainset, valset-logosonly, valset-nologos and testset. Brands are
    lower case in the lists, and as given in the folders. ``empty`` files are fast.
    """
    rng = np.random.default_rng(seed)
    number = 0
    for name in ("trainset", "valset-logosonly", "valset-nologos", "testset"):
        rows = []
        for truth, brand in enumerate([*brands, NO_LOGO]):
            count = no_logo.get(name, 0) if brand == NO_LOGO else per_brand.get(name, 0)
            for _ in range(count):
                number += 1
                image = put(
                    folder / f"classes/jpg/{brand}/{number}.jpg",
                    b"" if empty else encode(truth, rng),
                )
                rows.append(f"classes/jpg/{brand.lower()}/{image.name}\n")
        put(folder / f"{name}.relpaths.txt", "".join(rows))
    return folder


def write_cactus(
    folder: Path, train: int = 16, test: int = 6, place: str = "{part}", seed: int = 0
) -> Path:
    """``train.csv``, ``sample_submission.csv`` and the images of both.

    ``place`` is where images lie: ``{part}``, ``{part}/{part}``, or a place in an
    archive as in ``{part}.zip/{part}``.
    """
    rng = np.random.default_rng(seed)
    for part, file, count in (
        ("train", "train.csv", train),
        ("test", "sample_submission.csv", test),
    ):
        images = {f"{part}{i:028d}.jpg": encode(i % 4 > 0, rng, side=32) for i in range(count)}
        values = [str(int(i % 4 > 0)) if part == "train" else "0.5" for i in range(count)]
        rows = [f"{name},{value}\n" for name, value in zip(images, values)]
        put(folder / file, "id,has_cactus\n" + "".join(rows))
        put_all(folder, place.format(part=part), images)
    return folder


def put_all(folder: Path, place: str, files: Mapping[str, bytes]) -> None:
    """Files in a folder, or in an archive where ``place`` leads through a .zip."""
    archive, dot_zip, inside = place.partition(".zip")
    if not dot_zip:
        for name, content in files.items():
            put(folder / place / name, content)
        return
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{archive}.zip", "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(f"{inside}/{name}".lstrip("/"), content)


def write_covers(folder: Path, per_class: int = 6, below: str = "samples", seed: int = 0) -> Path:
    """``samples/positive`` and ``samples/negative`` with images of several formats."""
    rng = np.random.default_rng(seed)
    suffixes = (".jpg", ".png", ".webp", ".bmp")
    for truth, name in enumerate(("negative", "positive")):
        for index in range(per_class):
            suffix = suffixes[index % len(suffixes)]
            put(folder / below / name / f"{index}{suffix}", encode(truth, rng, suffix))
    return folder


def write_fashionai_data(
    folder: Path,
    task: str = "skirt_length_labels",
    classes: int = 6,
    per_class: int = 8,
    test_per_class: int = 2,
    seed: int = 0,
    sides: tuple[int, int] = (40, 59),
) -> Path:
    """A FashionAI tree: base with labels, rank with questions, and the answers.

    Heights and widths in pixels lie between the two ``sides``, both included.
    """
    rng = np.random.default_rng(seed)
    for name, labels, count in (
        ("base", "base/Annotations/label.csv", per_class),
        ("rank", "rank/Tests/question.csv", test_per_class),
    ):
        rows, answers = [], []
        for index in range(classes * count):
            truth = index % classes
            image = f"Images/{task}/{name}{seed}-{index:04d}.jpg"
            path = folder / name / image
            path.parent.mkdir(parents=True, exist_ok=True)
            height, width = rng.integers(*sides, 2, endpoint=True)
            cv2.imwrite(str(path), draw_image(truth, rng, (int(height), int(width))))
            label = "".join("y" if c == truth else "n" for c in range(classes))
            rows.append(f"{image},{task},{label if name == 'base' else ''}")
            answers.append(f"{image},{task},{label}")
        file = folder / labels
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "a", encoding="utf-8") as handle:
            handle.write("\n".join(rows) + "\n")
        if name == "rank":
            with open(folder / "answers.csv", "a", encoding="utf-8") as handle:
                handle.write("\n".join(answers) + "\n")
    return folder


def idx_bytes(array: np.ndarray) -> bytes:
    """An array of bytes in the idx format, from its description."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(struct.pack(">I", n) for n in array.shape)
    return header + array.astype(np.uint8).tobytes()


def write_idx_set(
    folder: Path, train: int = 12, test: int = 5, zipped: bool = True
) -> dict[str, np.ndarray]:
    """The four files of Fashion-MNIST with random images of 28 x 28 pixels; the arrays by name."""
    rng = np.random.default_rng(0)
    arrays = {}
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", train), ("t10k", test)):
        arrays[f"{part}-images-idx3-ubyte"] = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        arrays[f"{part}-labels-idx1-ubyte"] = (np.arange(count) % 10).astype(np.uint8)
    for name, array in arrays.items():
        data = idx_bytes(array)
        path = folder / (f"{name}.gz" if zipped else name)
        path.write_bytes(gzip.compress(data) if zipped else data)
    return arrays


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder: bytes of files, None for folders."""
    return {
        path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }
