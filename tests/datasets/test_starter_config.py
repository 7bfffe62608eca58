"""Configurations written for prepared tasks: they load, they train, and they follow the images."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest
import yaml

from fashionai.config import Config, load_config
from fashionai.config.schema import config_schema
from fashionai.datasets.starter_config import Survey, starter_config, survey_task
from fashionai.files.yaml_files import load_yaml
from fashionai.models.zoo import network_names
from fashionai.runs import Run
from fashionai.tasks import Task
from tests.support.commands import fashionai
from tests.support.data_trees import write_class_folders, write_table

CLASSES = ("owl", "robin", "tit")
BIRDS = Task("birds", (), CLASSES, "table")


def chosen(folder: Path, short_side: int, *counts: int, task: Task = BIRDS) -> Config:
    """The configuration for so many training images of each class of that size."""
    path = folder / "birds.yaml"
    survey = Survey(task, np.array(counts), 10, short_side, 20)
    path.write_text(starter_config(survey, Path("data/train_valid"), path))
    assert max(map(len, path.read_text().replace(str(folder), "configs").splitlines())) <= 100
    return load_config(path, (), [task])


@pytest.mark.parametrize(
    ("short_side", "images", "network", "crop"),
    [
        (8, 300, "small_cnn", 8),
        (30, 300, "small_cnn", 28),
        (64, 90_000, "small_cnn", 64),
        (65, 90_000, "resnet18_v2", 64),
        (160, 90_000, "resnet18_v2", 160),
        (161, 300, "resnet18_v2", 224),
        (512, 1_998, "resnet18_v2", 224),
        (512, 2_001, "resnet50_v2", 224),
    ],
)
def test_network_and_input_follow_the_size_of_the_images(
    tmp_path: Path, short_side: int, images: int, network: str, crop: int
) -> None:
    config = chosen(tmp_path, short_side, *[images // 3] * 3)
    assert (config.model.name, config.data.crop) == (network, crop)
    assert config.model.name in network_names()
    assert config.model.pretrained is (network != "small_cnn")
    # The random crop has about an eighth of the side to move in, if only a pixel.
    assert 1 <= config.data.resize_short - crop <= 32
    assert config.data.resize_short >= crop * 9 // 8


@pytest.mark.parametrize("images", [3, 30, 999, 3_000, 30_000, 900_000])
@pytest.mark.parametrize("short_side", [28, 128, 512])
def test_batch_and_epochs_follow_their_number(tmp_path: Path, images: int, short_side: int) -> None:
    config = chosen(tmp_path, short_side, *[images // 3] * 3)
    scratch = config.model.name == "small_cnn"
    largest, rate, seen, bounds = (
        (128, 0.1, 1_000_000, (15, 60)) if scratch else (64, 0.01, 500_000, (10, 40))
    )
    # Powers of two with 16 steps an epoch.
    wanted = [size for size in (8, 16, 32, 64, 128) if size <= largest and size * 16 <= images]
    assert config.batch_size == max(wanted, default=8)
    assert config.optimizer.lr == pytest.approx(rate * config.batch_size / largest)
    assert bounds[0] <= config.epochs <= bounds[1]
    if bounds[0] < config.epochs < bounds[1]:
        assert config.epochs * images == pytest.approx(seen, rel=0.05)


def test_imbalanced_classes_are_weighted(tmp_path: Path) -> None:
    assert chosen(tmp_path, 32, 29, 10, 20).loss.class_weights == "none"
    assert chosen(tmp_path, 32, 30, 10, 20).loss.class_weights == "balanced"
    # A class without images has no weight.
    assert chosen(tmp_path, 32, 20, 10, 0).loss.class_weights == "none"
    text = (tmp_path / "birds.yaml").read_text()
    assert "Classes have from 10 (robin) to 20 (owl) images; 1 class without images." in text


def test_classes_of_equal_size_are_described_by_one_number(tmp_path: Path) -> None:
    chosen(tmp_path, 32, 9, 9, 9)
    assert "# Every class has 9 images.\n" in (tmp_path / "birds.yaml").read_text()


def test_the_memory_of_a_small_batch_is_given_in_megabytes(tmp_path: Path) -> None:
    chosen(tmp_path, 32, 9, 9, 9)
    text = " ".join((tmp_path / "birds.yaml").read_text().replace("\n#", "").split())
    assert re.search(r"per image, [0-9.]+ MB in all\.", text)


@pytest.mark.parametrize(
    "name", ["null", "12", "1e5", "true", "b-1", "0o17", "no", "1:30", "a: \U0001f989"]
)
def test_names_stay_names(tmp_path: Path, name: str) -> None:
    config = chosen(tmp_path, 32, 9, 9, 9, task=Task(name, (), ("# a\nb", *CLASSES[1:]), "table"))
    assert config.task_names == [name]


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_images_are_counted_and_measured(inside: Path) -> None:
    """Short sides of 40, 60 and 90 pixels in three times three images for training."""
    write_class_folders(Path("own"), {"train": 3, "val": 1}, CLASSES)
    for name in CLASSES:
        for index, size in enumerate([(40, 200), (300, 60), (90, 95)]):
            noise = np.random.default_rng(len(name) + index).integers(0, 256, (*size, 3), np.uint8)
            cv2.imwrite(f"own/train/{name}/{index:03d}.jpg", noise)
    Path("own/train/tit/002.jpg").unlink()
    assert fashionai("prepare", "--task", "birds", "--folders", "own") == 0
    survey = survey_task(BIRDS, Path("data/train_valid"), np.random.default_rng(0))
    assert (survey.task, survey.counts.tolist(), survey.val_images) == (BIRDS, [3, 3, 2], 3)
    assert (survey.short_side, survey.measured) == (60, 8)


def test_a_task_of_ones_own_is_begun_and_trained(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_table(Path("own"), CLASSES, per_class=10)
    source = ["--csv", "own/labels.csv", "--images", "own/images"]
    assert fashionai("prepare", "--task", "birds", *source, "--out", "prepared") == 0
    capsys.readouterr()
    assert fashionai("init", "birds", "--folder", "prepared") == 0
    told = capsys.readouterr().out
    assert told == (
        "configs/birds.yaml: written. Train with: fashionai train --config configs/birds.yaml\n"
    )
    assert fashionai("train", "--config", "configs/birds.yaml", "epochs=1") == 0
    run = Run.open(Path("runs/birds"))
    assert run.is_finished
    assert run.config.data.folder == "prepared"
    # What the header promises.
    header = Path("configs/birds.yaml").read_text().partition("\ntask:")[0]
    assert "# birds: 27 training and 3 validation images of 3 classes.\n" in header
    for command in ("evaluate --run runs/birds --split val", "classify --run runs/birds IMAGE"):
        assert f"#   fashionai {command}\n" in header
        arguments = command.replace("IMAGE", "own/images/0000.jpg").split()
        assert fashionai(*arguments) == 0


def test_editors_find_the_schema_beside_the_configuration(inside: Path) -> None:
    write_table(Path("own"), CLASSES, per_class=10)
    source = ["--csv", "own/labels.csv", "--images", "own/images"]
    assert fashionai("prepare", "--task", "birds", *source) == 0
    assert fashionai("init", "birds", "--out", "a folder/mine.yaml") == 0
    path = Path("a folder/mine.yaml")
    first = path.read_text().splitlines()[0]
    # As yaml-language-server reads it: a path that is relative to the file.
    schema = path.parent / first.partition("# yaml-language-server: $schema=")[2]
    assert json.loads(schema.read_text()) == config_schema()
    jsonschema.validate(load_yaml(path), config_schema())
    # Made again whenever there is another configuration, of this release or a later one.
    schema.write_text("{}")
    assert fashionai("init", "birds", "--out", "a folder/mine.yaml") == 2
    assert schema.read_text() == "{}"
    assert fashionai("init", "birds", "--out", "a folder/other.yaml") == 0
    assert json.loads(schema.read_text()) == config_schema()


def test_an_existing_file_is_kept_by_default(
    fashionai_data: Path, inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a known task, which its alias names."""
    assert fashionai("prepare", "--task", "skirt") == 0
    path = Path("configs/skirt.yaml")
    path.parent.mkdir()
    path.write_text("mine\n")
    capsys.readouterr()
    assert fashionai("init", "skirt") == 2
    assert capsys.readouterr().err == (
        "Error: configs/skirt.yaml: already exists. Give --overwrite, or another --out\n"
    )
    assert path.read_text() == "mine\n"
    assert fashionai("init", "skirt", "--out", "b.yaml") == 0
    assert fashionai("init", "skirt_length_labels", "--overwrite") == 0
    trees: list[dict[str, Any]] = [yaml.safe_load(Path(p).read_text()) for p in (path, "b.yaml")]
    assert trees[0] == trees[1]
    assert trees[0]["task"] == "skirt"
    Path("photo.png").write_bytes(cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    for out, reason in {"photo.png": "is an image", "configs": "is a folder"}.items():
        assert fashionai("init", "skirt", "--out", out, "--overwrite") == 2
        assert f"Error: --out {out}: {reason}, " in capsys.readouterr().err
