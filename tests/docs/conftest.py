"""Folders in which the commands of a page find what they need."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from fashionai.families import FASHIONAI_TASKS
from tests.support.commands import ROOT
from tests.support.data_trees import (
    put,
    write_cactus,
    write_class_folders,
    write_covers,
    write_fashionai_data,
    write_logos,
    write_table,
)
from tests.support.image_server import ImageServer, Network, content
from tests.support.images import encode


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with nothing in it but the configurations."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "configs", "configs")
    return tmp_path


@pytest.fixture
def skirts(workplace: Path) -> Path:
    """The FashionAI archives with a few skirts."""
    write_fashionai_data(Path("data"), per_class=5)
    shutil.copyfile("data/answers.csv", "answer.csv")
    put(Path("corrections.csv"), "path,action,old_label,new_label,reason,date\n")
    for name in ("photo.jpg", "photos/1.jpg", "photos/2.jpg"):
        put(Path(name), encode(0, np.random.default_rng(len(name))))
    return workplace


@pytest.fixture
def all_attributes(skirts: Path) -> Path:
    """The FashionAI archives with a few images of every attribute."""
    for task in FASHIONAI_TASKS[1:]:
        write_fashionai_data(Path("data"), task.name, len(task.classes), per_class=3)
    return skirts


@pytest.fixture
def own_images(workplace: Path) -> Path:
    """A table and class folders, and images that no label file names."""
    write_table(Path("own"), ("owl", "robin", "tit"), per_class=6)
    shutil.copyfile("own/labels.csv", "labels.csv")
    shutil.copytree("own/images", "photos", dirs_exist_ok=True)
    write_class_folders(Path("pets"), {"": 5})
    rng = np.random.default_rng(1)
    for name in ("owl.jpg", "new-photos/1.jpg", "new-photos/2.jpg"):
        put(Path(name), encode(0, rng))
    for name in ("truth.csv", "new-labels.csv"):
        put(Path(name), "path,label\n1.jpg,owl\n2.jpg,tit\n")
    return workplace


@pytest.fixture
def other_data_sets(workplace: Path, server: ImageServer, network: Network) -> Path:
    """Logos, cacti, Fashion-MNIST, and covers of which one is still to be fetched."""
    counts = {"trainset": 3, "valset-logosonly": 2, "testset": 2}
    no_logo = {"valset-nologos": 6, "testset": 4}
    write_logos(Path("data/flickrlogos"), counts, no_logo, ["aldi", "HP"])
    write_cactus(Path("data/cactus"))
    write_covers(Path("data/covers"), below="")
    server.pages["/1.jpg"] = content(encode(1, np.random.default_rng(2)))
    put(Path("urls.csv"), "url\nhttp://covers.example/1.jpg\n")
    put(Path("new-covers/1.jpg"), encode(0, np.random.default_rng(1)))
    write_small_idx(Path("idx"))
    return workplace


def write_small_idx(folder: Path) -> None:
    """The four files of Fashion-MNIST's format with a few random images."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, count in (("train", 60), ("t10k", 20)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        (folder / f"{name}-images-idx3-ubyte").write_bytes(
            struct.pack(">4B3I", 0, 0, 8, 3, count, 28, 28) + images.tobytes()
        )
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(
            struct.pack(">4BI", 0, 0, 8, 1, count) + labels.tobytes()
        )
