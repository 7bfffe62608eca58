"""Held-out background: images of no class are prepared for val and test, never for training."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fashionai.cli import main
from fashionai.config import Config
from fashionai.config.sections import DataConfig
from fashionai.datasets.prepared.folders import read_split
from fashionai.datasets.prepared.samples import read_samples
from fashionai.errors import DataError
from fashionai.families import LOGOS
from fashionai.metrics import NO, YES
from fashionai.tasks import task_from_json
from tests.support.data_trees import write_logos

BRANDS = tuple(name for name in LOGOS.classes if name != "no-logo")
SOME = ("adidas", "guiness", "HP")
COUNTS = {"trainset": 3, "valset-logosonly": 2, "testset": 1}
NO_LOGO_COUNTS = {"valset-nologos": 5, "testset": 4}


def prepare_logos(folder: Path, counts: dict[str, int] = COUNTS) -> Path:
    write_logos(folder / "data", counts, NO_LOGO_COUNTS, SOME)
    arguments = ["--data", folder / "data", "--out", folder / "out", "--no-logo-share", "0"]
    main(["prepare", "--task", "logos", *map(str, arguments)])
    return folder / "out/logos"


@pytest.fixture(scope="module")
def logos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared logos of three brands, without a share of images that have none."""
    return prepare_logos(tmp_path_factory.mktemp("logos"))


def listed(folder: Path) -> list[dict[str, str]]:
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_it_has_the_last_folder_and_none_of_it_is_for_training(logos: Path) -> None:
    for split, count in (("train", 0), ("val", 5), ("test", 4)):
        folders = sorted(path.name for path in (logos / split).iterdir())
        assert len(folders) == 33
        assert folders[-1] == "32_no-logo"
        assert len(list((logos / split / "32_no-logo").iterdir())) == count
    rows = listed(logos)
    counts = Counter((row["split"], row["class_name"]) for row in rows)
    assert counts == {
        **{(s, b): n for b in SOME for s, n in (("train", 3), ("val", 2), ("test", 1))},
        ("val", "no-logo"): 5,
        ("test", "no-logo"): 4,
    }
    assert {r["class_index"] for r in rows if r["class_name"] == "no-logo"} == {"32"}


def test_the_task_beside_the_folders_remembers_it(logos: Path) -> None:
    assert json.loads((logos / "task.json").read_text())["background"] == "no-logo"
    task = task_from_json(logos / "task.json")
    assert (task.classes, task.background) == (BRANDS, "no-logo")
    assert task.labels == LOGOS.classes


@pytest.mark.parametrize("split", ["val", "test"])
def test_it_is_read_on_request(logos: Path, split: str) -> None:
    rows = [row for row in listed(logos) if row["split"] == split]
    brands = [row for row in rows if row["class_name"] != "no-logo"]
    without = read_split(logos, split)
    assert without.sources == [row["source"] for row in brands]
    assert without.class_indices.tolist() == [int(row["class_index"]) for row in brands]
    everything = read_split(logos, split, background=True)
    assert everything.sources == [row["source"] for row in rows]
    assert everything.marks.shape == (len(rows), 32)
    is_brand = np.array([row["class_name"] != "no-logo" for row in rows])
    assert (everything.marks == YES).sum(axis=1).tolist() == is_brand.astype(int).tolist()
    assert (everything.marks[~is_brand] == NO).all()
    assert all(path.is_file() for path in everything.paths)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_training_never_sees_it(logos: Path, split: str) -> None:
    config = Config(task="logos", data=DataConfig(folder=str(logos.parent)))
    rows = read_samples(config, split)
    assert rows.tasks[0].classes == BRANDS
    assert rows.marks.shape[1] == 32
    assert rows.sources
    assert not any("no-logo" in source for source in rows.sources)


def test_a_split_of_background_alone_is_no_split(tmp_path: Path) -> None:
    folder = prepare_logos(tmp_path, {"trainset": 3, "valset-logosonly": 2, "testset": 0})
    assert len(read_split(folder, "test", background=True).paths) == 4
    with pytest.raises(DataError) as caught:
        read_split(folder, "test")
    assert str(caught.value) == f"{folder}: split 'test' has no images of its classes, only no-logo"


def test_a_share_makes_it_a_class_of_the_same_folders(tmp_path: Path) -> None:
    folder = prepare_logos(tmp_path)
    arguments = ["--data", tmp_path / "data", "--out", tmp_path / "out", "--no-logo-share", "0.4"]
    main(["prepare", "--task", "logos", *map(str, arguments)])
    assert task_from_json(folder / "task.json") == LOGOS
    train = read_split(folder, "train")
    assert Counter(train.class_indices.tolist())[32] == 2
    assert train.marks.shape[1] == 33
