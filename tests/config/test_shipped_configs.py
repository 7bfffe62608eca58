"""The files in configs/: each loads, round-trips, and says how it is used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fashionai.config import (
    differing_keys,
    load_config,
    save_config,
)
from fashionai.config.augmentations import Mirror, RandomCrop
from fashionai.config.schedules import StepSchedule
from fashionai.families import FASHIONAI_TASKS, find_task
from tests.support.commands import CONFIG_FILES, CONFIGS


@pytest.mark.parametrize("file", CONFIG_FILES, ids=lambda path: path.stem)
def test_a_dumped_configuration_loads_as_the_same(file: Path, tmp_path: Path) -> None:
    config = load_config(file)
    save_config(config, tmp_path / "copy.yaml")
    assert load_config(tmp_path / "copy.yaml") == config
    assert differing_keys(load_config(tmp_path / "copy.yaml"), config) == []


@pytest.mark.parametrize("file", CONFIG_FILES, ids=lambda path: path.stem)
def test_every_config_opens_with_its_own_train_command(file: Path) -> None:
    opening = re.match(r"(#.*\n)+", file.read_text())
    assert opening, "does not open with a comment"
    commands = re.findall(r"fashionai train --config (\S+)", opening.group())
    assert f"configs/{file.name}" in commands


@pytest.mark.parametrize("task", FASHIONAI_TASKS, ids=lambda task: task.short_name)
def test_the_attributes_have_the_benchmarks_recipe(task) -> None:
    config = load_config(CONFIGS / f"{task.short_name}.yaml")
    assert find_task(config.task) == task
    assert (config.model.name, config.model.pretrained) == ("resnet50_v2", True)
    assert (config.batch_size, config.epochs) == (64, 40)
    optimizer = config.optimizer
    assert (optimizer.name, optimizer.lr, optimizer.momentum) == ("sgd", 0.001, 0.9)
    assert optimizer.weight_decay == 1e-4
    assert config.schedule == StepSchedule(factor=0.75, epochs=[10, 20, 30, 40])
    # Of a larger image, random and corner crops cut off the hem that tells the length.
    resize_short = 224 if "length" in task.name else 256
    assert (config.data.resize_short, config.data.crop) == (resize_short, 224)
    assert config.monitor == "map"
    crop = [] if "length" in task.name else [RandomCrop()]
    assert config.data.augment == [*crop, Mirror(p=0.5)]
    assert re.search(r"# *crop: 448", (CONFIGS / f"{task.short_name}.yaml").read_text())
