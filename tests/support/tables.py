"""Helpers that write small tables with their images and read them."""

from __future__ import annotations

from pathlib import Path

from fashionai.datasets.readers.table import read_table
from tests.support.data_trees import put

# The end of messages about missing images.
SKIP = "--skip-bad leaves out missing images"


def write(folder: Path, *rows: str, images: str = "a.jpg b.jpg c.jpg d.jpg") -> tuple[Path, Path]:
    """A table of these rows, and a folder of these images."""
    (folder / "images").mkdir(exist_ok=True)
    for image in images.split():
        put(folder / "images" / image)
    return put(folder / "t.csv", "".join(f"{row}\n" for row in rows)), folder / "images"


def read(folder: Path, *rows: str, images: str = "a.jpg b.jpg c.jpg d.jpg", **options: object):
    return read_table("mine", *write(folder, *rows, images=images), **options)


def pairs(data_set) -> list[tuple[str, str]]:
    return [(image.source, data_set.task.classes[image.class_index]) for image in data_set.images]
