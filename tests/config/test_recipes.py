"""The published recipes in configs/: their figures, and the commands that they open with."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from fashionai.cli import root
from fashionai.config import Config, load_config
from fashionai.config.augmentations import (
    Brightness,
    Contrast,
    Dihedral,
    Mirror,
    RandomCrop,
    Rotate,
    Warp,
    Zoom,
)
from fashionai.models.zoo import network_names
from fashionai.training.steps.schedules import learning_rate, momentum
from tests.support.commands import CONFIG_FILES, CONFIGS


def load(name: str) -> Config:
    return load_config(CONFIGS / f"{name}.yaml")


@pytest.mark.parametrize("file", CONFIG_FILES, ids=lambda path: path.stem)
def test_the_commands_of_the_opening_are_ones_that_the_program_takes(file: Path) -> None:
    lines = re.findall(r"^#   (fashionai .*)$", file.read_text(), flags=re.MULTILINE)
    assert lines
    for line in lines:
        name, *arguments = shlex.split(line)[1:]
        command = root.get_command(click.Context(root), name)
        # Raises UsageError for options that the command does not know.
        context = command.make_context(name, arguments)
        if str(context.params.get("config_file") or "") == f"configs/{file.name}":
            load_config(file, context.params["overrides"])


@pytest.mark.parametrize("file", CONFIG_FILES, ids=lambda path: path.stem)
def test_every_config_names_a_network_that_there_is(file: Path) -> None:
    assert load_config(file).model.name in network_names()


@pytest.mark.parametrize(
    ("name", "network", "pretrained"),
    [("logos_tutorial", "resnet18_v2", True), ("logos_scratch", "logos_cnn", False)],
)
def test_logos_have_the_tutorials_recipe(name: str, network: str, pretrained: bool) -> None:
    config = load(name)
    assert (config.model.name, config.model.pretrained) == (network, pretrained)
    assert config.model.init_magnitude == 2.24
    assert (config.batch_size, config.epochs) == (40, 20)
    optimizer = config.optimizer
    assert (optimizer.name, optimizer.lr, optimizer.weight_decay) == ("sgd", 0.01, 0.001)
    assert {learning_rate(config, step, 46) for step in range(20 * 46)} == {0.01}
    assert config.data.crop == 224
    assert config.data.augment == [RandomCrop(), Mirror(p=0.5)]
    assert config.evaluate_test == "every-epoch"


FASTAI = [
    Dihedral(p=1),
    Warp(p=0.75, magnitude=0.2),
    Rotate(p=0.75, degrees=10),
    Zoom(p=0.75, factor=[1, 1.1]),
    Brightness(p=0.75, amount=0.2, space="logit"),
    Contrast(p=0.75, amount=0.2, space="logit"),
]


def test_cacti_have_fastais_recipe() -> None:
    config = load("cactus")
    assert config.model.name == "densenet161"
    assert (config.data.resize_short, config.data.crop, config.batch_size) == (128, 128, 64)
    assert config.data.augment == FASTAI
    assert config.optimizer.head_lr_factor == 10


@pytest.mark.parametrize("name", ["cactus", "cactus_small"])
def test_the_cycle_is_fastais(name: str) -> None:
    config = load(name)
    assert config.data.augment == FASTAI
    steps, lr = 1000, config.optimizer.lr  # in an epoch
    total = config.epochs * steps
    rates = [learning_rate(config, step, steps) for step in range(total)]
    momenta = [momentum(config, step, steps) for step in range(total)]
    top = rates.index(max(rates))
    assert top == pytest.approx(0.3 * total, abs=1)
    assert [rates[0], rates[top], rates[-1]] == pytest.approx([lr / 25, lr, lr / 250_000])
    assert [momenta[0], momenta[top], momenta[-1]] == pytest.approx([0.95, 0.85, 0.95])
    # Half way up or down a cosine is at the mean of its ends.
    assert rates[top // 2] == pytest.approx((rates[0] + lr) / 2, rel=0.01)
    assert rates[(top + total) // 2] == pytest.approx((lr + rates[-1]) / 2, rel=0.01)


@pytest.mark.parametrize("network", ["covers_lenet", "covers_alexnet"])
def test_covers_have_the_tutorials_recipe(network: str) -> None:
    config = load(network)
    assert (config.model.name, config.model.pretrained) == (network, False)
    assert (config.data.resize_short, config.data.crop) == (240, 240)
    assert (config.optimizer.name, config.optimizer.lr) == ("adam", 1e-5)
    assert "--folds 4" in (CONFIGS / f"{network}.yaml").read_text()
