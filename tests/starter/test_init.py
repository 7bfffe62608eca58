"""``fashionai init`` for a task of the user's own: what it measures, writes and refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest
import yaml

from fashionai.config.schema import config_schema
from fashionai.files.formats.yaml_files import load_yaml
from fashionai.runs import Run
from fashionai.starter.survey import survey_task
from fashionai.tasks import Task
from tests.support.commands import fashionai
from tests.support.data_trees import write_class_folders, write_table

CLASSES = ("owl", "robin", "tit")
BIRDS = Task("birds", (), CLASSES, "table")


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
        "configs/birds.yaml: written\n"
        "network: small_cnn, made for images of up to 64 pixels\n"
        "trainable: all, crop 16, 60 epochs, batch size 8\n"
        "Train with: fashionai train --config configs/birds.yaml\n"
    )
    assert fashionai("train", "--config", "configs/birds.yaml", "epochs=1") == 0
    run = Run.open(Path("runs/birds"))
    assert run.is_finished
    assert run.config.data.folder == "prepared"
    # What the header promises.
    header = Path("configs/birds.yaml").read_text().partition("\ntask:")[0]
    assert "# birds: 27 training images and 3 validation images of 3 classes.\n" in header
    for command in ("evaluate --run runs/birds --split val", "classify --run runs/birds IMAGE"):
        assert f"#   fashionai {command}\n" in header
        arguments = command.replace("IMAGE", "own/images/0000.jpg").split()
        assert fashionai(*arguments) == 0


def test_editors_find_the_schema_beside_the_configuration(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_table(Path("own"), CLASSES, per_class=10)
    source = ["--csv", "own/labels.csv", "--images", "own/images"]
    assert fashionai("prepare", "--task", "birds", *source) == 0
    assert fashionai("init", "birds", "--out", "a folder/mine.yaml") == 0
    path = Path("a folder/mine.yaml")
    # A shell takes the commands as they are.
    command = "fashionai train --config 'a folder/mine.yaml'"
    assert f"#   {command}\n" in path.read_text()
    assert f"Train with: {command}\n" in capsys.readouterr().out
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


@pytest.mark.parametrize("arguments", [["--folder", "a\udce9"], ["--out", "b\udce9.yaml"]])
def test_a_name_that_no_configuration_can_hold_is_refused(
    inside: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    write_table(Path("own"), CLASSES, per_class=10)
    source = ["--csv", "own/labels.csv", "--images", "own/images"]
    assert fashionai("prepare", "--task", "birds", *source) == 0
    shutil.copytree("data/train_valid", "a\udce9")
    assert fashionai("init", "birds", *arguments) == 2
    assert "the name is not UTF-8, expected one that a configuration can hold" in (
        capsys.readouterr().err
    )
    assert not list(inside.rglob("*.yaml"))


@pytest.mark.parametrize("name", ["birds", "birds2"])
def test_a_prepared_folder_that_was_renamed_is_named(
    inside: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_table(Path("own"), CLASSES, per_class=10)
    source = ["--csv", "own/labels.csv", "--images", "own/images"]
    assert fashionai("prepare", "--task", "birds", *source) == 0
    Path("data/train_valid/birds").rename("data/train_valid/birds2")
    assert fashionai("init", name) == 2
    assert capsys.readouterr().err == (
        "Error: data/train_valid/birds2: was prepared as 'birds'. Rename the folder back\n"
    )


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
